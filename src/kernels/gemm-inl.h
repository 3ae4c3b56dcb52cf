// Register-tiled matrix product over prepacked 32-column panels: rows x 32 accumulators stay in registers, each k step
// loads one panel row and broadcasts one value per row of a. Included inside the namespace of one isa_*.cc.
// Tile shape: 12 x 2 accumulators of 16 lanes fill 24 of 32 AVX-512 registers; AVX2 uses 6-row, one-vector tiles.

template <int kRows>
static inline void TileBlock(int64_t k, const float* a, int64_t lda, const float* b, float* tile, bool first) {
  F16 acc[kRows][2];
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) acc[r][0] = acc[r][1] = Set1(0.0f);
  for (int64_t i = 0; i < k; ++i) {
    const F16 b0 = Load(b + i * kPanel);
    const F16 b1 = Load(b + i * kPanel + 16);
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
      const F16 x = Set1(a[r * lda + i]);
      acc[r][0] = Fma(x, b0, acc[r][0]);
      acc[r][1] = Fma(x, b1, acc[r][1]);
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
    float* out = tile + r * kPanel;
    if (first) {
      Store(out, acc[r][0]);
      Store(out + 16, acc[r][1]);
    } else {
      Store(out, Add(Load(out), acc[r][0]));
      Store(out + 16, Add(Load(out + 16), acc[r][1]));
    }
  }
}

static inline void TileBlockRows(int64_t rows, int64_t k, const float* a, int64_t lda, const float* b, float* tile,
                                 bool first) {
  switch (rows) {
#define TV_TILE_CASE(n)                      \
  case n:                                    \
    TileBlock<n>(k, a, lda, b, tile, first); \
    break;
    TV_TILE_CASES
#undef TV_TILE_CASE
    default:
      break;
  }
}

// At most kTileRows rows, in register tiles of kIsaTileRows.
static inline void Rows(int64_t rows, int64_t k, const float* a, int64_t lda, const float* b, float* tile, bool first) {
  for (int64_t r = 0; r < rows; r += kIsaTileRows) {
    const int64_t count = rows - r < kIsaTileRows ? rows - r : kIsaTileRows;
    TileBlockRows(count, k, a + r * lda, lda, b, tile + r * kPanel, first);
  }
}

static inline int64_t KBlock(int64_t k) {
  const int64_t blocks = (k + kMaxKBlock - 1) / kMaxKBlock;
  return blocks <= 1 ? (k > 0 ? k : 1) : (k + blocks - 1) / blocks;
}

static inline void Epilogue(const GemmArgs& g, int64_t rows, int64_t row0, int64_t col0, const float* tile) {
  const int64_t columns = g.n - col0 < kPanel ? g.n - col0 : kPanel;
  for (int64_t half = 0; half < columns; half += 16) {
    const int64_t count = columns - half < 16 ? columns - half : 16;
    const int64_t column = col0 + half;
    const F16 bias = g.bias != nullptr ? LoadN(g.bias + column, count) : Set1(0.0f);
    for (int64_t r = 0; r < rows; ++r) {
      F16 x = Load(tile + r * kPanel + half);
      if (g.bias != nullptr) x = Add(x, bias);
      x = ApplyAct(g.act, x);
      if (g.residual != nullptr) x = Add(x, LoadN(g.residual + (row0 + r) * g.ldr + column, count));
      StoreN(g.c + (row0 + r) * g.ldc + column, x, count);
    }
  }
}

static void Gemm(const GemmArgs& g, int64_t panel_begin, int64_t panel_end) {
  alignas(64) float tile[kTileRows * kPanel];
  const int64_t tiles = (g.m + kTileRows - 1) / kTileRows;
  const int64_t block = KBlock(g.k);
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t row0 = g.m * t / tiles;
    const int64_t rows = g.m * (t + 1) / tiles - row0;
    for (int64_t panel = panel_begin; panel < panel_end; ++panel) {
      const float* b = g.packed + panel * g.k * kPanel;
      for (int64_t k0 = 0; k0 == 0 || k0 < g.k; k0 += block) {
        const int64_t kn = g.k - k0 < block ? g.k - k0 : block;
        Rows(rows, kn, g.a + row0 * g.lda + k0, g.lda, b + k0 * kPanel, tile, k0 == 0);
      }
      Epilogue(g, rows, row0, panel * kPanel, tile);
    }
  }
}

static void Tile(int64_t rows, int64_t k, int64_t k_origin, const float* a, int64_t lda, const float* b, float* out,
                 int64_t ldo) {
  alignas(64) float tile[kTileRows * kPanel];
  bool first = true;
  for (int64_t k0 = 0; first || k0 < k;) {
    const int64_t to_boundary = kMaxKBlock - (k_origin + k0) % kMaxKBlock;
    const int64_t kn = k - k0 < to_boundary ? k - k0 : to_boundary;
    Rows(rows, kn, a + k0, lda, b + k0 * kPanel, tile, first);
    first = false;
    k0 += kn > 0 ? kn : 1;
  }
  for (int64_t r = 0; r < rows; ++r) {
    Store(out + r * ldo, Load(tile + r * kPanel));
    Store(out + r * ldo + 16, Load(tile + r * kPanel + 16));
  }
}
