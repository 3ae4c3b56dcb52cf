#include "cli/embed_variable.h"

#include "cli/array_file.h"
#include "cli/vector_writer.h"

namespace truevec::cli {
namespace {

template <typename T>
std::string_view Bytes(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

Result<std::vector<EncodedText>> EncodeRecords(const PipelineRunner& runner, const VariableEmbed& what,
                                               const std::vector<TextRecord>& records) {
  std::vector<EncodedText> encoded;
  for (size_t i = 0; i < records.size(); ++i) {
    Result<EncodedText> one = runner.pipeline().Encode(records[i].text, what.encode);
    if (!one.ok()) return one.status().WithContext("text " + std::to_string(i));
    encoded.push_back(std::move(one).value());
  }
  return encoded;
}

// scipy.sparse.save_npz: data, indices, indptr, shape, format.
std::string CsrArchive(const std::vector<SparseVectors>& rows, int64_t width) {
  std::vector<float> values;
  std::vector<int32_t> columns;
  std::vector<int32_t> starts = {0};
  for (const SparseVectors& row : rows) {
    values.insert(values.end(), row.values.begin(), row.values.end());
    columns.insert(columns.end(), row.columns.begin(), row.columns.end());
    starts.push_back(static_cast<int32_t>(values.size()));
  }
  const std::vector<int64_t> shape = {static_cast<int64_t>(rows.size()), width};
  NpzBuilder archive;
  archive.Add("indices", "<i4", std::to_string(columns.size()) + ",", Bytes(columns));
  archive.Add("indptr", "<i4", std::to_string(starts.size()) + ",", Bytes(starts));
  archive.Add("format", "|S3", "", "csr");
  archive.Add("shape", "<i8", "2,", Bytes(shape));
  archive.Add("data", "<f4", std::to_string(values.size()) + ",", Bytes(values));
  return archive.Finish();
}

std::string TokenArchive(const std::vector<std::vector<float>>& rows, int64_t width) {
  std::vector<float> values;
  std::vector<int64_t> offsets = {0};
  for (const std::vector<float>& row : rows) {
    values.insert(values.end(), row.begin(), row.end());
    offsets.push_back(static_cast<int64_t>(values.size()) / width);
  }
  NpzBuilder archive;
  archive.Add("values", "<f4", std::to_string(offsets.back()) + ", " + std::to_string(width), Bytes(values));
  archive.Add("offsets", "<i8", std::to_string(offsets.size()) + ",", Bytes(offsets));
  return archive.Finish();
}

std::string SparseLine(const SparseVectors& row) {
  std::string line = ",\"embedding\":{\"indices\":[";
  for (size_t i = 0; i < row.columns.size(); ++i) line += (i > 0 ? "," : "") + std::to_string(row.columns[i]);
  line += "],\"values\":[";
  for (size_t i = 0; i < row.values.size(); ++i) {
    if (i > 0) line += ',';
    AppendFloat(&line, row.values[i]);
  }
  return line + "]}}\n";
}

std::string TokenLine(const std::vector<float>& row, int64_t width) {
  std::string line = ",\"embedding\":[";
  for (size_t i = 0; i < row.size(); ++i) {
    if (i % static_cast<size_t>(width) == 0) line += i > 0 ? "],[" : "[";
    if (i % static_cast<size_t>(width) != 0) line += ',';
    AppendFloat(&line, row[i]);
  }
  return line + (row.empty() ? "]}\n" : "]]}\n");
}

}  // namespace

Status EmbedVariableLength(const PipelineRunner& runner, const VariableEmbed& what,
                           const std::vector<TextRecord>& records, const std::string& output) {
  const bool npz = output.ends_with(".npz");
  if (!npz && output != "-" && !output.ends_with(".jsonl")) {
    return UsageError(output + ": sparse, token and multi-vector results go to .npz or .jsonl");
  }
  TV_ASSIGN_OR_RETURN(const std::vector<EncodedText> encoded, EncodeRecords(runner, what, records));
  std::vector<SparseVectors> sparse(records.size());
  std::vector<std::vector<float>> tokens(records.size());
  int64_t width = runner.pipeline().dimension();
  const Status ran = runner.Batches(encoded, what.batch_tokens, [&](auto texts, auto indices) -> Status {
    for (size_t k = 0; what.sparse && k < texts.size(); ++k) {
      TV_ASSIGN_OR_RETURN(sparse[indices[k]],
                          runner.pipeline().EmbedSparse(texts.subspan(k, 1), what.max_active, runner.context()));
    }
    if (what.sparse) return Status::Ok();
    TV_ASSIGN_OR_RETURN(TokenVectors many, what.multi_vector
                                               ? runner.pipeline().EmbedMultiVector(texts, runner.context())
                                               : runner.pipeline().EmbedTokens(texts, runner.context()));
    width = many.width;
    if (what.normalize) L2Normalize(runner.context(), {many.values.data(), many.offsets.back(), width, width});
    for (size_t k = 0; k < indices.size(); ++k) {
      tokens[indices[k]].assign(many.values.begin() + many.offsets[k] * width,
                                many.values.begin() + many.offsets[k + 1] * width);
    }
    return Status::Ok();
  });
  TV_RETURN_IF_ERROR(ran);
  if (npz) return WriteWholeFile(output, what.sparse ? CsrArchive(sparse, width) : TokenArchive(tokens, width));
  TV_ASSIGN_OR_RETURN(LineSink sink, LineSink::Open(output));
  for (size_t i = 0; i < records.size(); ++i) {
    const std::string rest = what.sparse ? SparseLine(sparse[i]) : TokenLine(tokens[i], width);
    TV_RETURN_IF_ERROR(sink.Write(LineStart(records[i].id, static_cast<int64_t>(i)) + rest));
  }
  return sink.Commit();
}

}  // namespace truevec::cli
