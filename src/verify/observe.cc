#include "verify/observe.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <thread>

namespace truevec {
namespace {

constexpr size_t kAgain = 6;       // repeats of one text
constexpr size_t kConcurrent = 8;  // independent requests at once
constexpr size_t kEqual = 4;

Result<std::vector<Vector>> AskTexts(Target* target, const Observations& o, const std::vector<size_t>& which,
                                     const AskOptions& options) {
  std::vector<std::string> texts;
  for (const size_t i : which) texts.push_back(o.texts[i]);
  TV_ASSIGN_OR_RETURN(TargetReply reply, target->Embed(texts, options));
  return std::move(reply.vectors);
}

Status AskSingles(Target* target, const std::vector<Probe>& probes, Observations* o) {
  for (const Probe& probe : probes) {
    auto reply = target->Embed({probe.text}, {});
    if (!reply.ok()) {
      if (reply.status().code() != Code::kBadInput) return reply.status();
      o->refused.emplace_back(probe.name, reply.status().message());
      continue;
    }
    if (!reply->unpooled.empty()) {
      o->unpooled.resize(o->probes.size());
      o->unpooled.push_back(reply->unpooled[0]);
    } else if (!o->unpooled.empty()) {
      o->unpooled.emplace_back();
    }
    o->probes.push_back(probe);
    o->texts.push_back(probe.text);
    o->singles.push_back(std::move(reply->vectors[0]));
    o->tokens.push_back(reply->input_tokens);
  }
  if (o->refused.size() * 2 > probes.size()) {
    return EndpointError(target->Description() + ": refused " + std::to_string(o->refused.size()) + " of " +
                         std::to_string(probes.size()) + " texts; the first: " + o->refused.front().second);
  }
  return Status::Ok();
}

// All texts, `size` a request, in the order of `order`. A refusal ends it with a note.
Status AskBatches(Target* target, const char* kind, const std::vector<size_t>& order, Observations* o) {
  const size_t size = target->MaxBatch();
  if (size < 2) return Status::Ok();
  for (size_t first = 0; first < order.size(); first += size) {
    const auto begin = order.begin() + static_cast<ptrdiff_t>(first);
    const std::vector<size_t> which(begin, begin + static_cast<ptrdiff_t>(std::min(size, order.size() - first)));
    if (which.size() < 2) continue;
    auto vectors = AskTexts(target, *o, which, {});
    if (!vectors.ok()) {
      if (vectors.status().code() != Code::kBadInput) return vectors.status();
      o->batch_error = vectors.status().message();
      return Status::Ok();
    }
    o->batches.push_back({kind, which, std::move(vectors).value()});
  }
  return Status::Ok();
}

std::vector<size_t> EqualLengths(const std::vector<int64_t>& lengths) {
  std::map<int64_t, std::vector<size_t>> by_length;
  for (size_t i = 0; i < lengths.size(); ++i) by_length[lengths[i]].push_back(i);
  std::vector<size_t> best;
  for (const auto& [length, which] : by_length) {
    if (length > 3 && which.size() > best.size()) best = which;
  }
  best.resize(std::min(best.size(), kEqual));
  return best;
}

Status AskConcurrently(Target* target, const std::vector<int64_t>& lengths, Observations* o) {
  // Short and long ones side by side: what a server would pad.
  std::vector<size_t> order(o->texts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return lengths[a] < lengths[b]; });
  std::vector<size_t> which;
  const size_t count = std::min(kConcurrent, order.size());
  for (size_t i = 0; i < count; ++i) which.push_back(order[i * (order.size() - 1) / std::max<size_t>(count - 1, 1)]);
  const std::vector<size_t> equal = EqualLengths(lengths);
  std::vector<std::vector<size_t>> rounds = {which};
  if (equal.size() > 1) rounds.push_back(equal);
  for (const std::vector<size_t>& round : rounds) {
    std::vector<Result<std::vector<Vector>>> answers(round.size(), EndpointError("not asked"));
    std::vector<std::thread> threads;
    const size_t workers = std::min<size_t>(static_cast<size_t>(target->Concurrency()), round.size());
    for (size_t w = 0; w < workers; ++w) {
      threads.emplace_back([&, w] {
        for (size_t i = w; i < round.size(); i += workers) answers[i] = AskTexts(target, *o, {round[i]}, {});
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (size_t i = 0; i < round.size(); ++i) {
      if (!answers[i].ok()) return answers[i].status();
      o->concurrent.push_back({"concurrent", {round[i]}, std::move(answers[i]).value()});
    }
  }
  return Status::Ok();
}

}  // namespace

Result<Observations> Observe(Target* target, const std::vector<Probe>& probes, const std::vector<int64_t>& given) {
  Observations o;
  TV_RETURN_IF_ERROR(AskSingles(target, probes, &o));
  if (!target->HasBatches() || o.texts.size() < 2) return o;
  std::vector<int64_t> lengths;
  for (size_t i = 0, p = 0; i < o.probes.size(); ++i, ++p) {
    while (probes[p].name != o.probes[i].name || probes[p].text != o.probes[i].text) ++p;
    lengths.push_back(given[p]);
  }
  for (size_t i = 0; i < std::min(kAgain + 3, o.texts.size() + kAgain); ++i) {
    const size_t text = i < kAgain ? 0 : std::min(i - kAgain + 1, o.texts.size() - 1);
    TV_ASSIGN_OR_RETURN(std::vector<Vector> vectors, AskTexts(target, o, {text}, {}));
    o.again.push_back({"again", {text}, std::move(vectors)});
  }
  std::vector<size_t> order(o.texts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  TV_RETURN_IF_ERROR(AskBatches(target, "mixed batch", order, &o));
  // Another order: short beside long, so that neighbours change.
  std::stable_sort(order.begin(), order.end(), [](size_t a, size_t b) { return a * 7 % 11 < b * 7 % 11; });
  if (o.batch_error.empty()) TV_RETURN_IF_ERROR(AskBatches(target, "other order", order, &o));
  if (const std::vector<size_t> equal = EqualLengths(lengths); equal.size() > 1 && o.batch_error.empty()) {
    TV_RETURN_IF_ERROR(AskBatches(target, "equal lengths", equal, &o));
  }
  if (target->Concurrency() > 1) TV_RETURN_IF_ERROR(AskConcurrently(target, lengths, &o));
  for (size_t i = 0; target->HasBase64() && i < std::min<size_t>(3, o.texts.size()); ++i) {
    auto vectors = AskTexts(target, o, {i}, {.base64 = true});
    if (!vectors.ok()) {
      o.base64_error = vectors.status().message();
      break;
    }
    o.base64.push_back({"base64", {i}, std::move(vectors).value()});
  }
  return o;
}

}  // namespace truevec
