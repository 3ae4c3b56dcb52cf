// Prints one hash per kernel of every table that runs here: float32 and int8 results must be the same bits in all of
// them, and on every architecture. Kernels only, so that it also builds with a cross compiler (tests/isa/run.py).
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmath>
#include <vector>

#include "kernels/kernels.h"

namespace {

using truevec::kernels::Act;
using truevec::kernels::GemmArgs;
using truevec::kernels::KernelTable;
using truevec::kernels::kPanel;
using truevec::kernels::Weights;

uint32_t state = 1;
uint32_t Next() {  // Numerical Recipes' LCG, high bits
  state = state * 1664525u + 1013904223u;
  return state >> 8;
}
std::vector<float> Floats(int64_t n, float scale = 1.0f) {
  std::vector<float> values(static_cast<size_t>(n));
  for (float& v : values) v = scale * (static_cast<float>(Next()) / 8388608.0f - 1.0f);
  return values;
}

class Hash {
 public:
  void Add(const void* data, size_t bytes) {  // FNV-1a
    for (size_t i = 0; i < bytes; ++i) hash_ = (hash_ ^ static_cast<const unsigned char*>(data)[i]) * 1099511628211u;
  }
  template <typename T>
  void Add(const std::vector<T>& values) {
    Add(values.data(), values.size() * sizeof(T));
  }
  uint64_t value() const { return hash_; }

 private:
  uint64_t hash_ = 14695981039346656037u;
};

void Print(const KernelTable& table, const char* kernel, const Hash& hash) {
  printf("%s %s %016llx\n", table.name, kernel, static_cast<unsigned long long>(hash.value()));
}

constexpr int64_t kShapes[][3] = {{1, 1, 1},      {1, 70, 37},     {2, 40, 300},  {3, 33, 7},
                                  {5, 16, 257},   {13, 65, 64},    {50, 48, 700}, {97, 96, 384},
                                  {8, 384, 1536}, {26, 401, 1650}, {700, 20, 90}};

void Products(const KernelTable& table, Weights storage, const char* name) {
  Hash hash;
  state = 7;
  for (const auto& [m, n, k] : kShapes) {
    for (const Act act : {Act::kNone, Act::kGelu}) {
      const int64_t panels = (n + kPanel - 1) / kPanel;
      const int64_t even = (k + 1) / 2 * 2;
      const std::vector<float> a = Floats(m * k, 3);
      const std::vector<float> bias = Floats(n);
      const std::vector<float> residual = Floats(m * n);
      const std::vector<float> packed = Floats(panels * kPanel * k);
      std::vector<uint16_t> halves;
      std::vector<int8_t> bytes;
      for (const float x : packed) {
        uint32_t bits;
        memcpy(&bits, &x, 4);
        halves.push_back(static_cast<uint16_t>(bits >> 16));
      }
      for (int64_t i = 0; i < panels * kPanel * even; ++i) bytes.push_back(static_cast<int8_t>(Next() % 255 - 127));
      std::vector<int16_t> quantized(static_cast<size_t>(m * even));
      std::vector<float> row_scales;
      const std::vector<float> column_scales = Floats(n);
      const int64_t limit = k < 512 ? 32767 : 1387;
      for (int64_t r = 0; r < m; ++r) {
        row_scales.push_back(table.quantize_row(a.data() + r * k, k, limit, quantized.data() + r * even));
      }
      hash.Add(quantized);
      hash.Add(row_scales);
      std::vector<float> c(static_cast<size_t>(m * n));
      GemmArgs g{};
      g.m = m;
      g.n = n;
      g.k = k;
      g.a = a.data();
      g.lda = k;
      g.weights = storage;
      g.packed = storage == Weights::kFloat32    ? static_cast<const void*>(packed.data())
                 : storage == Weights::kBFloat16 ? static_cast<const void*>(halves.data())
                                                 : static_cast<const void*>(bytes.data());
      g.bias = bias.data();
      g.act = act;
      g.residual = act == Act::kNone ? residual.data() : nullptr;
      g.ldr = n;
      g.c = c.data();
      g.ldc = n;
      std::vector<float> workspace(static_cast<size_t>(truevec::kernels::GemmWorkspace(m, k)) + 16);
      g.workspace = workspace.data();
      g.quantized = quantized.data();
      g.ldq = even;
      g.row_scales = row_scales.data();
      g.column_scales = column_scales.data();
      (storage == Weights::kInt8 ? table.gemm_int8 : table.gemm)(g, 0, panels);
      hash.Add(c);
    }
  }
  Print(table, name, hash);
}

float Widened(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float x;
  memcpy(&x, &wide, 4);
  return x;
}

// gemm_bfloat16 rounds as it likes, so it is compared with double sums of the rounded terms: within float32's error of
// k additions. False where it is not, or where a rounded activation is not the nearest bfloat16.
bool BFloat16Products(const KernelTable& table) {
  if (table.gemm_bfloat16 == nullptr) return table.round_row == nullptr;
  state = 13;
  for (const auto& [m, n, k_any] : kShapes) {
    const int64_t k = (k_any + 1) / 2 * 2;
    const int64_t panels = (n + kPanel - 1) / kPanel;
    const std::vector<float> a = Floats(m * k, 3);
    std::vector<uint16_t> packed;
    for (const float x : Floats(panels * kPanel * k)) {
      uint32_t bits;
      memcpy(&bits, &x, 4);
      packed.push_back(static_cast<uint16_t>(bits >> 16));
    }
    std::vector<int16_t> rounded(static_cast<size_t>(m * k));
    for (int64_t r = 0; r < m; ++r) table.round_row(a.data() + r * k, k, rounded.data() + r * k);
    for (size_t i = 0; i < a.size(); ++i) {
      const float distance = std::abs(Widened(static_cast<uint16_t>(rounded[i])) - a[i]);
      if (!(distance <= std::abs(a[i]) / 256)) return false;
    }
    const std::vector<float> bias = Floats(n);
    std::vector<float> c(static_cast<size_t>(m * n));
    std::vector<float> workspace(static_cast<size_t>(truevec::kernels::GemmWorkspace(m, k)) + 16);
    GemmArgs g{};
    g.m = m;
    g.n = n;
    g.k = k;
    g.weights = Weights::kBFloat16;
    g.packed = packed.data();
    g.bias = bias.data();
    g.c = c.data();
    g.ldc = n;
    g.workspace = workspace.data();
    g.quantized = rounded.data();
    g.ldq = k;
    table.gemm_bfloat16(g, 0, panels);
    for (int64_t r = 0; r < m; ++r) {
      for (int64_t j = 0; j < n; ++j) {
        double sum = bias[static_cast<size_t>(j)];
        double magnitude = std::abs(sum);
        for (int64_t i = 0; i < k; ++i) {
          const double x = Widened(static_cast<uint16_t>(rounded[static_cast<size_t>(r * k + i)]));
          const double term = x * Widened(packed[static_cast<size_t>((j / kPanel * k + i) * kPanel + j % kPanel)]);
          sum += term;
          magnitude += std::abs(term);
        }
        if (!(std::abs(c[static_cast<size_t>(r * n + j)] - sum) <= 1e-6 * magnitude)) return false;
      }
    }
  }
  return true;
}

void Tiles(const KernelTable& table) {
  Hash hash;
  state = 9;
  for (const int64_t rows : {1, 2, 5, 12, 48}) {
    const std::vector<float> a = Floats(rows * 600);
    const std::vector<float> b = Floats(3 * 600 * kPanel);
    std::vector<float> out(static_cast<size_t>(rows * 3 * kPanel));
    table.tile({rows, 3, 600, 96, a.data(), 600, b.data(), 600 * kPanel, out.data(), 3 * kPanel});
    hash.Add(out);
  }
  Print(table, "tile", hash);
}

void Rows(const KernelTable& table) {
  state = 11;
  Hash softmax;
  for (const int64_t columns : {16, 48, 400}) {
    for (const float softcap : {0.0f, 5.0f}) {
      std::vector<float> scores = Floats(columns, 20);
      const std::vector<float> bias = Floats(columns, 3);
      const double sum = table.softmax({scores.data(), columns, 3, columns - 5, 0.3f, softcap, bias.data()});
      softmax.Add(scores);
      softmax.Add(&sum, sizeof sum);
    }
  }
  Print(table, "softmax", softmax);
  Hash act;
  for (int kind = 0; kind <= static_cast<int>(Act::kGelu10); ++kind) {
    std::vector<float> x = Floats(1003, 12);
    table.activate(static_cast<Act>(kind), x.data(), 1003);
    act.Add(x);
  }
  Print(table, "activate", act);
  Hash norm;
  for (const int64_t n : {1, 17, 384, 1003}) {
    const std::vector<float> x = Floats(n, 4);
    const std::vector<float> r = Floats(n);
    const std::vector<float> w = Floats(n);
    std::vector<float> out(static_cast<size_t>(n));
    table.layer_norm(x.data(), r.data(), n, w.data(), r.data(), 1e-12, out.data());
    norm.Add(out);
    table.rms_norm(x.data(), n, w.data(), 1e-6, 1.0f, out.data());
    norm.Add(out);
    const double divisor = 3.7;
    table.divide_rows(x.data(), n, &divisor, 1, n, out.data(), n);
    norm.Add(out);
    table.transpose(x.data(), n / 5 + 1, 5, n / 5, out.data(), 5);
    norm.Add(out);
    const double squares = table.sum_squares(x.data(), n);
    norm.Add(&squares, sizeof squares);
    std::vector<double> sums(static_cast<size_t>(n), 0.1);
    table.add_to_double(x.data(), n, sums.data());
    norm.Add(sums);
  }
  Print(table, "norms", norm);
}

}  // namespace

// Arguments: names of tables to run; none: all that run here.
int main(int argc, char** argv) {
  const KernelTable* const* tables = nullptr;
  const int count = truevec::kernels::AvailableTables(&tables);
  bool wrong = false;
  for (int i = 0; i < count; ++i) {
    bool wanted = argc == 1;
    for (int j = 1; j < argc; ++j) wanted = wanted || strcmp(argv[j], tables[i]->name) == 0;
    if (!wanted) continue;
    Products(*tables[i], Weights::kFloat32, "gemm_float32");
    Products(*tables[i], Weights::kBFloat16, "gemm_bfloat16");
    Products(*tables[i], Weights::kInt8, "gemm_int8");
    Tiles(*tables[i]);
    Rows(*tables[i]);
    if (!BFloat16Products(*tables[i])) {
      fprintf(stderr, "%s: bfloat16 products are wrong\n", tables[i]->name);
      wrong = true;
    }
  }
  return wrong ? 1 : 0;
}
