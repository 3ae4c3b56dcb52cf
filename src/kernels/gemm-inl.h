// Register-tiled matrix product over prepacked 16-column panels (Goto and van de Geijn, "Anatomy of High-Performance
// Matrix Multiplication", 2008). Included inside the namespace of one isa_*.cc.
//
// A register tile is kRows rows by kPanels panels; each k step loads the panels' rows and broadcasts one value per row
// of a. Loop order: row blocks (their slice of a stays in the second-level cache), panels, k blocks (a panel's block
// stays in the first-level cache), register tiles. The order in which one element is summed does not depend on any of
// this: FMA over k inside a block, block sums added in order.
// The isa file gives kIsaTileRows and IsaPanels(rows), how many panels a tile of that many rows takes at most.

template <int kRows, int kPanels, typename Weight>
static inline __attribute__((always_inline)) void TileStep(int64_t i, const float* a, int64_t lda, const Weight* b,
                                                           int64_t panel_stride, F16 (&acc)[kRows][kPanels]) {
  F16 row[kPanels];
#pragma GCC unroll 4
  for (int p = 0; p < kPanels; ++p) row[p] = Load(b + p * panel_stride + i * kPanel);
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
    const F16 x = Set1(a[r * lda + i]);
#pragma GCC unroll 4
    for (int p = 0; p < kPanels; ++p) acc[r][p] = Fma(x, row[p], acc[r][p]);
  }
}

template <int kRows, int kPanels, typename Weight>
static inline void TileBlock(int64_t k, const float* a, int64_t lda, const Weight* b, int64_t panel_stride, float* tile,
                             int64_t ldt, bool first) {
  F16 acc[kRows][kPanels];
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < kPanels; ++p) acc[r][p] = Set1(0.0f);
  }
  int64_t i = 0;
  if (kPanels == 1) {  // unrolled: 1 to 3 % (wider tiles spill)
    for (; i + 4 <= k; i += 4) {
#pragma GCC unroll 4
      for (int u = 0; u < 4; ++u) TileStep<kRows, kPanels, Weight>(i + u, a, lda, b, panel_stride, acc);
    }
  }
  for (; i < k; ++i) TileStep<kRows, kPanels, Weight>(i, a, lda, b, panel_stride, acc);
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < kPanels; ++p) {
      float* out = tile + r * ldt + p * kPanel;
      Store(out, first ? acc[r][p] : Add(Load(out), acc[r][p]));
    }
  }
}

// One register tile; `panels` is at most IsaPanels(rows).
template <typename Weight>
static inline void TileAny(int64_t rows, int64_t panels, int64_t k, const float* a, int64_t lda, const Weight* b,
                           int64_t panel_stride, float* tile, int64_t ldt, bool first) {
  switch (rows * 8 + panels) {
#define TV_TILE_CASE(r, p)                                                 \
  case (r) * 8 + (p):                                                      \
    TileBlock<r, p, Weight>(k, a, lda, b, panel_stride, tile, ldt, first); \
    return;
    TV_TILE_CASES
#undef TV_TILE_CASE
    default:  // a width that has no tile of its own: panel by panel
      for (int64_t p = 0; p < panels; ++p) {
        TileAny(rows, 1, k, a, lda, b + p * panel_stride, panel_stride, tile + p * kPanel, ldt, first);
      }
  }
}

static inline int64_t KBlock(int64_t k) {
  const int64_t blocks = (k + kMaxKBlock - 1) / kMaxKBlock;
  return blocks <= 1 ? (k > 0 ? k : 1) : (k + blocks - 1) / blocks;
}

// One strip of 16 columns: what is added and applied to a finished sum.
struct Strip {
  int64_t column, count;
  F16 bias;
};

static inline Strip StripOf(const GemmArgs& g, int64_t panel) {
  Strip s;
  s.column = panel * kPanel;
  s.count = g.n - s.column < kPanel ? g.n - s.column : kPanel;
  s.bias = g.bias != nullptr ? LoadN(g.bias + s.column, s.count) : Set1(0.0f);
  return s;
}

static inline void Finish(const GemmArgs& g, const Strip& s, int64_t row, F16 x) {
  if (g.bias != nullptr) x = Add(x, s.bias);
  x = ApplyAct(g.act, x);
  float* out = g.c + row * g.ldc + s.column;
  if (g.residual != nullptr) x = Add(x, LoadN(g.residual + row * g.ldr + s.column, s.count));
  if (s.count == kPanel) {
    Store(out, x);
  } else {
    StoreN(out, x, s.count);
  }
}

static inline void Epilogue(const GemmArgs& g, int64_t rows, int64_t row0, int64_t panel, const float* tile,
                            int64_t ldt) {
  const Strip strip = StripOf(g, panel);
  for (int64_t r = 0; r < rows; ++r) Finish(g, strip, row0 + r, Load(tile + r * ldt));
}

// Asks for one of `shares` parts of the weights that follow, which the next block of k or the next panel reads: the far
// cache's latency hides behind the tiles of this block. A prefetch beyond the end does nothing.
template <typename Weight>
static inline void PrefetchShare(const Weight* next, int64_t count, int64_t share, int64_t shares) {
  constexpr int64_t kLine = 64 / (int64_t)sizeof(Weight);
  for (int64_t i = count * share / shares / kLine * kLine; i < count * (share + 1) / shares; i += kLine) {
    __builtin_prefetch(next + i, 0, 2);
  }
}

template <typename Weight>
static inline void GemmWith(const GemmArgs& g, const Weight* packed, int64_t panel_begin, int64_t panel_end) {
  // Rows of a block: 256 KiB of a, so that the weights come from afar as few times as the second-level cache allows.
  constexpr int64_t kBlockFloats = 1 << 16;
  constexpr int64_t kMaxRows = 192;
  constexpr int64_t kMaxPanels = 4;  // more than two only in tiles of at most three rows
  alignas(64) float scratch[(kMaxRows * 2 + kIsaTileRows * kMaxPanels) * kPanel];
  const int64_t tiles = (g.m + kIsaTileRows - 1) / kIsaTileRows;
  const int64_t fitting = kBlockFloats / (g.k > 0 ? g.k : 1) / kIsaTileRows;
  const int64_t tiles_per_block = fitting < 2                         ? 2
                                  : fitting > kMaxRows / kIsaTileRows ? kMaxRows / kIsaTileRows
                                                                      : fitting;
  const int64_t blocks = (tiles + tiles_per_block - 1) / tiles_per_block;
  const int64_t block_k = KBlock(g.k);
  const int64_t panel_stride = g.k * kPanel;
  const int64_t wide = IsaPanels((g.m + tiles - 1) / tiles);
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t tile0 = tiles * block / blocks;
    const int64_t tile1 = tiles * (block + 1) / blocks;
    const int64_t row0 = g.m * tile0 / tiles;
    const int64_t rows = g.m * tile1 / tiles - row0;
    for (int64_t panel = panel_begin; panel < panel_end; panel += wide) {
      const int64_t panels = panel_end - panel < wide ? panel_end - panel : wide;
      const Weight* b = packed + panel * panel_stride;
      for (int64_t k0 = 0; k0 == 0 || k0 < g.k; k0 += block_k) {
        const int64_t kn = g.k - k0 < block_k ? g.k - k0 : block_k;
        for (int64_t t = tile0; t < tile1; ++t) {
          const int64_t r = g.m * t / tiles;
          PrefetchShare(b + (k0 + kn) * kPanel, kn * panels * kPanel, t - tile0, tile1 - tile0);
          TileAny(g.m * (t + 1) / tiles - r, panels, kn, g.a + r * g.lda + k0, g.lda, b + k0 * kPanel, panel_stride,
                  scratch + (r - row0) * wide * kPanel, wide * kPanel, k0 == 0);
        }
      }
      for (int64_t p = 0; p < panels; ++p) {
        Epilogue(g, rows, row0, panel + p, scratch + p * kPanel, wide * kPanel);
      }
    }
  }
}

static void Gemm(const GemmArgs& g, int64_t panel_begin, int64_t panel_end) {
  if (g.weights == Weights::kBFloat16) {
    GemmWith(g, (const uint16_t*)g.packed, panel_begin, panel_end);
  } else {
    GemmWith(g, (const float*)g.packed, panel_begin, panel_end);
  }
}

static void Tile(const TileArgs& t) {
  const int64_t tiles = (t.rows + kIsaTileRows - 1) / kIsaTileRows;
  const int64_t wide = IsaPanels((t.rows + tiles - 1) / (tiles > 0 ? tiles : 1));
  for (int64_t panel = 0; panel < t.panels; panel += wide) {
    const int64_t panels = t.panels - panel < wide ? t.panels - panel : wide;
    const float* b = t.b + panel * t.panel_stride;
    bool first = true;
    for (int64_t k0 = 0; first || k0 < t.k;) {
      const int64_t to_boundary = kMaxKBlock - (t.k_origin + k0) % kMaxKBlock;
      const int64_t kn = t.k - k0 < to_boundary ? t.k - k0 : to_boundary;
      for (int64_t i = 0; i < tiles; ++i) {
        const int64_t r = t.rows * i / tiles;
        TileAny(t.rows * (i + 1) / tiles - r, panels, kn, t.a + r * t.lda + k0, t.lda, b + k0 * kPanel, t.panel_stride,
                t.out + r * t.ldo + panel * kPanel, t.ldo, first);
      }
      first = false;
      k0 += kn > 0 ? kn : 1;
    }
  }
}
