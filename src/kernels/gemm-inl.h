// Register-tiled matrix product over prepacked 16-column panels (Goto and van de Geijn, "Anatomy of High-Performance
// Matrix Multiplication", 2008). Included inside the namespace of one isa_*.cc.
//
// A register tile is kRows rows by kPanels panels; each step of depth (one k, or a pair of them for int8) loads the
// panels' rows and broadcasts one value per row of a. Loop order: row blocks, stretches of depth (the block's slice of
// a is packed tile by tile into the order in which it is read and stays in the second-level cache), panels (a panel's
// stretch stays in the first-level cache), register tiles. The order in which one element is summed does not depend on
// any of this: FMA over k inside a sum block, block sums added in order.
// The isa file gives kIsaTileRows and IsaPanels(rows), how many panels a tile of that many rows takes at most.

// Element types and arithmetic of one kind of product; A is 4 bytes wide.
struct FloatDot {
  using A = float;
  using B = float;
  using Wide = FloatDot;  // the same product over panels as UnpackPanel stores them
  using Row = F16;
  using Acc = F16;
  using Sum = float;                           // element of an Acc in memory
  static constexpr int64_t kRowElements = 16;  // of a panel, one step of depth
  TV_INLINE Row LoadRow(const B* p) { return Load(p); }
  TV_INLINE Row Broadcast(const A* p) { return Set1(*p); }
  TV_INLINE Acc Zero() { return Set1(0.0f); }
  TV_INLINE Acc MulAdd(Acc acc, Row x, Row y) { return Fma(x, y, acc); }
  TV_INLINE Acc AddTo(const Sum* p, Acc x) { return Add(Load(p), x); }
  TV_INLINE void Put(Sum* p, Acc x) { Store(p, x); }
};
struct BFloat16Dot : FloatDot {
  using B = uint16_t;
  TV_INLINE Row LoadRow(const B* p) { return Load(p); }
};

// Blocks of at most this many tiles stream their weights.
constexpr int64_t kStreamTiles = 2;  // StreamTiles shares lines between two
static_assert(kStreamTiles * kIsaTileRows <= kGemmStreamRows && kGemmRows % kIsaTileRows == 0);

// What a tile asks for while it works: one line of weights a panel for each 2^shift steps, from the block that comes
// next. So far memory works all the time, not only under the first of the tiles that read a block. A prefetch beyond
// the end does nothing.
struct Ahead {
  const char* next;
  int64_t panel_bytes;  // from one panel to the next
  int shift;
};
constexpr int64_t kLine = 64;
// Into which cache: the next block of a stream is read at once; the next panel would displace the one in use from the
// first-level cache.
enum class Into { kNowhere, kFirst, kSecond };

// Packed a: [depth][kRows]; else rows lda apart.
template <typename D, int kRows, int kPanels, bool kPacked, Into kInto>
static inline __attribute__((always_inline)) void TileStep(int64_t i, const typename D::A* a, int64_t lda,
                                                           const typename D::B* b, int64_t panel_stride, Ahead ahead,
                                                           typename D::Acc (&acc)[kRows][kPanels]) {
  typename D::Row row[kPanels];
#pragma GCC unroll 4
  for (int p = 0; p < kPanels; ++p) {
    const typename D::B* at = b + p * panel_stride + i * D::kRowElements;
    if (kInto != Into::kNowhere) {
      __builtin_prefetch(ahead.next + p * ahead.panel_bytes + (i >> ahead.shift) * kLine, 0,
                         kInto == Into::kFirst && kPanels == 1 ? 3 : 2);
    }
    row[p] = D::LoadRow(at);
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
    const typename D::Row x = D::Broadcast(kPacked ? a + i * kRows + r : a + r * lda + i);
#pragma GCC unroll 4
    for (int p = 0; p < kPanels; ++p) acc[r][p] = D::MulAdd(acc[r][p], x, row[p]);
  }
}

template <typename D, int kRows, int kPanels, bool kPacked, Into kInto>
static inline __attribute__((always_inline)) void TileBody(int64_t depth, const typename D::A* a, int64_t lda,
                                                           const typename D::B* b, int64_t panel_stride, Ahead ahead,
                                                           typename D::Sum* tile, int64_t ldt, bool first) {
  // Blocks of three tiles and more ask for a line each second step at most, and int8 waits for the decoder.
  constexpr Into kOdd = kInto == Into::kSecond ? Into::kNowhere : kInto;
  typename D::Acc acc[kRows][kPanels];
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < kPanels; ++p) acc[r][p] = D::Zero();
  }
  int64_t i = 0;
  if (kPanels == 1) {  // unrolled: 1 to 3 % (wider tiles spill)
    for (; i + 4 <= depth; i += 4) {
#pragma GCC unroll 2
      for (int u = 0; u < 4; u += 2) {
        TileStep<D, kRows, kPanels, kPacked, kInto>(i + u, a, lda, b, panel_stride, ahead, acc);
        TileStep<D, kRows, kPanels, kPacked, kOdd>(i + u + 1, a, lda, b, panel_stride, ahead, acc);
      }
    }
  }
  for (; i < depth; ++i) TileStep<D, kRows, kPanels, kPacked, kInto>(i, a, lda, b, panel_stride, ahead, acc);
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < kPanels; ++p) {
      typename D::Sum* out = tile + r * ldt + p * kPanel;
      D::Put(out, first ? acc[r][p] : D::AddTo(out, acc[r][p]));
    }
  }
}

// A function of its own: inlined into the choice below it, GCC spills.
template <typename D, int kRows, int kPanels, Into kInto>
static __attribute__((noinline)) void TileBlock(int64_t depth, const typename D::A* a, const typename D::B* b,
                                                int64_t panel_stride, Ahead ahead, typename D::Sum* tile, int64_t ldt,
                                                bool first) {
  TileBody<D, kRows, kPanels, true, kInto>(depth, a, 0, b, panel_stride, ahead, tile, ldt, first);
}

// One register tile; `panels` is at most IsaPanels(rows).
template <typename D, Into kInto>
static inline void TileAny(int64_t rows, int64_t panels, int64_t depth, const typename D::A* a, const typename D::B* b,
                           int64_t panel_stride, Ahead ahead, typename D::Sum* tile, int64_t ldt, bool first) {
  switch (rows * 8 + panels) {
#define TV_TILE_CASE(r, p)                                                         \
  case (r) * 8 + (p):                                                              \
    TileBlock<D, r, p, kInto>(depth, a, b, panel_stride, ahead, tile, ldt, first); \
    return;
    TV_TILE_CASES
#undef TV_TILE_CASE
    default:  // a width that has no tile of its own: panel by panel
      for (int64_t p = 0; p < panels; ++p) {
        TileAny<D, kInto>(rows, 1, depth, a, b + p * panel_stride, panel_stride,
                          {ahead.next + p * ahead.panel_bytes, ahead.panel_bytes, ahead.shift}, tile + p * kPanel, ldt,
                          first);
      }
  }
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

// c = act(value(r) + bias) + residual for the strip's rows; value(r) is the finished product of row row0 + r.
template <typename Value, typename Activate>
static inline void FinishRows(const GemmArgs& g, const Strip& s, int64_t row0, int64_t rows, Value value,
                              Activate activate) {
  for (int64_t r = 0; r < rows; ++r) {
    F16 x = value(r);
    if (g.bias != nullptr) x = Add(x, s.bias);
    x = activate(x);
    float* out = g.c + (row0 + r) * g.ldc + s.column;
    if (g.residual != nullptr) x = Add(x, LoadN(g.residual + (row0 + r) * g.ldr + s.column, s.count));
    if (s.count == kPanel) {
      Store(out, x);
    } else {
      StoreN(out, x, s.count);
    }
  }
}

template <typename Value>
static inline void Finish(const GemmArgs& g, const Strip& s, int64_t row0, int64_t rows, Value value) {
  WithActivation(g.act, [&](auto activate) { FinishRows(g, s, row0, rows, value, activate); });
}

static inline void FinishStrip(FloatDot, const GemmArgs& g, const Strip& s, int64_t row0, int64_t rows,
                               const float* strip, int64_t ldt) {
  Finish(g, s, row0, rows, [&](int64_t r) TV_ALWAYS_INLINE { return Load(strip + r * ldt); });
}

// Four rows of 4-byte elements, as many steps of depth at a time as a 16-byte vector holds.
typedef int32_t V4 __attribute__((vector_size(16)));
TV_INLINE V4 Load4(const void* p) {
  V4 v;
  __builtin_memcpy(&v, p, 16);
  return v;
}

// out[i][r] = a[r][i] of 4-byte elements, rows of a and out lda and ldo apart.
static inline void PackTile(const void* a, int64_t lda, int64_t rows, int64_t depth, void* out, int64_t ldo) {
  const int32_t* from = (const int32_t*)a;
  int32_t* to = (int32_t*)out;
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const int32_t* row = from + r * lda;
    int64_t i = 0;
    for (; i + 4 <= depth; i += 4) {
      const V4 a0 = Load4(row + i);
      const V4 a1 = Load4(row + lda + i);
      const V4 a2 = Load4(row + 2 * lda + i);
      const V4 a3 = Load4(row + 3 * lda + i);
      const V4 low01 = __builtin_shufflevector(a0, a1, 0, 4, 1, 5);
      const V4 low23 = __builtin_shufflevector(a2, a3, 0, 4, 1, 5);
      const V4 high01 = __builtin_shufflevector(a0, a1, 2, 6, 3, 7);
      const V4 high23 = __builtin_shufflevector(a2, a3, 2, 6, 3, 7);
      const V4 steps[4] = {
          __builtin_shufflevector(low01, low23, 0, 1, 4, 5), __builtin_shufflevector(low01, low23, 2, 3, 6, 7),
          __builtin_shufflevector(high01, high23, 0, 1, 4, 5), __builtin_shufflevector(high01, high23, 2, 3, 6, 7)};
      for (int u = 0; u < 4; ++u) __builtin_memcpy(to + (i + u) * ldo + r, &steps[u], 16);
    }
    for (; i < depth; ++i) {
      for (int u = 0; u < 4; ++u) to[i * ldo + r + u] = row[u * lda + i];
    }
  }
  for (; r + 2 <= rows; r += 2) {
    const int32_t* row = from + r * lda;
    int64_t i = 0;
    for (; i + 4 <= depth; i += 4) {
      const V4 a0 = Load4(row + i);
      const V4 a1 = Load4(row + lda + i);
      const V4 steps[2] = {__builtin_shufflevector(a0, a1, 0, 4, 1, 5), __builtin_shufflevector(a0, a1, 2, 6, 3, 7)};
      for (int u = 0; u < 4; ++u) __builtin_memcpy(to + (i + u) * ldo + r, (const char*)steps + 8 * u, 8);
    }
    for (; i < depth; ++i) {
      to[i * ldo + r] = row[i];
      to[i * ldo + r + 1] = row[lda + i];
    }
  }
  for (; r < rows; ++r) {
    for (int64_t i = 0; i < depth; ++i) to[i * ldo + r] = from[r * lda + i];
  }
}

static inline void UnpackPanel(FloatDot, const float*, int64_t, float*) {}
static inline void UnpackPanel(BFloat16Dot, const uint16_t* from, int64_t depth, float* to) {
  for (int64_t i = 0; i < depth; ++i) Store(to + i * kPanel, Load(from + i * kPanel));
}

// What one call works on.
template <typename D>
struct Product {
  const GemmArgs& g;
  const typename D::A* a;  // [m][depth], lda apart
  int64_t lda;
  int64_t depth;      // steps
  int64_t sum_block;  // steps that are summed in registers before they are added to the strip
};

// Rows [row0, row0 + rows) by panels [panel_begin, panel_end), tile boundaries at m * t / tiles.
template <typename D>
struct RowBlock {
  const Product<D>& p;
  int64_t tiles, tile0, tile1, wide, stretch;
  typename D::A* packed_a;        // [rows][stretch], tile by tile
  typename D::Wide::B* unpacked;  // [wide][stretch][16]
  typename D::Sum* strips;

  int64_t first_rows[kGemmRows / kIsaTileRows + 1];  // of tile0 to tile1

  int64_t Row(int64_t tile) const { return first_rows[tile - tile0]; }
  void SetRows() {
    for (int64_t t = tile0; t <= tile1; ++t) first_rows[t - tile0] = p.g.m * t / tiles;
  }

  void Pack(int64_t first, int64_t count) const {
    for (int64_t t = tile0; t < tile1; ++t) {
      const int64_t rows = Row(t + 1) - Row(t);
      PackTile(p.a + Row(t) * p.lda + first, p.lda, rows, count, packed_a + (Row(t) - Row(tile0)) * count, rows);
    }
  }

  // Tile t over steps [i, i + SumBlock) of the packed stretch [first, first + count).
  template <typename E, Into kInto>
  void OneTile(int64_t t, int64_t i, const typename E::B* b, int64_t panel_stride, Ahead ahead, int64_t first,
               int64_t count, int64_t panels, typename D::Sum* strip) const {
    const int64_t rows = Row(t + 1) - Row(t);
    const int64_t before = Row(t) - Row(tile0);
    const int64_t steps = count - i < p.sum_block ? count - i : p.sum_block;
    TileAny<E, kInto>(rows, panels, steps, packed_a + before * count + i * rows, b + i * E::kRowElements, panel_stride,
                      ahead, strip + before * wide * kPanel, wide * kPanel, first + i == 0);
  }

  // Asks for the lines of c (and of the residual) that tile t's rows of these panels go to: a column of c is one line a
  // row, which nobody else prefetches.
  void AskForOutput(int64_t t, int64_t panel, int64_t panels) const {
    for (int64_t r = Row(t); r < Row(t + 1); ++r) {
      for (int64_t i = panel; i < panel + panels; ++i) {
        __builtin_prefetch(p.g.c + r * p.g.ldc + i * kPanel, 1, 2);
        if (p.g.residual != nullptr) __builtin_prefetch(p.g.residual + r * p.g.ldr + i * kPanel, 0, 2);
      }
    }
  }

  // One stretch of depth of `panels` panels from b, weights that are in a near cache; `next`: those that follow as
  // stored, which the tiles ask for in equal parts. `output`: the first panel when this is the last stretch, else -1.
  template <typename E>
  void Tiles(const typename E::B* b, int64_t panel_stride, int64_t first, int64_t count, int64_t panels,
             typename D::Sum* strip, const typename D::B* next, int64_t output) const {
    const int64_t step_bytes = D::kRowElements * (int64_t)sizeof(typename D::B);
    const int64_t lines = (count * step_bytes / kLine + tile1 - tile0 - 1) / (tile1 - tile0);
    int shift = 0;
    while ((count >> (shift + 1)) >= lines) ++shift;
    for (int64_t t = tile0; t < tile1; ++t) {
      const char* part = (const char*)next + (t - tile0) * lines * kLine;
      if (output >= 0) AskForOutput(t, output, panels);
      for (int64_t i = 0; i == 0 || i < count; i += p.sum_block) {
        OneTile<E, Into::kSecond>(t, i, b, panel_stride, {part + (i >> shift) * kLine, p.depth * step_bytes, shift},
                                  first, count, panels, strip);
      }
    }
  }

  // The same for the whole depth and few tiles, which share each sum block before the next one comes.
  void StreamTiles(const typename D::B* b, int64_t panel_stride, int64_t panels, typename D::Sum* strip) const {
    constexpr int64_t kStepBytes = D::kRowElements * (int64_t)sizeof(typename D::B);
    constexpr Into kInto = Into::kFirst;
    const int shift = (tile1 - tile0 > 1 ? 1 : 0) + (kStepBytes < kLine ? 1 : 0);
    for (int64_t i = 0; i == 0 || i < p.depth; i += p.sum_block) {
      const int64_t steps = p.depth - i < p.sum_block ? p.depth - i : p.sum_block;
      const typename D::B* next = i + steps < p.depth ? b + (i + steps) * D::kRowElements : b + panels * panel_stride;
      for (int64_t t = tile0; t < tile1; ++t) {
        const Ahead ahead{(const char*)(next + (t - tile0) * (steps / 2) * D::kRowElements), p.depth * kStepBytes,
                          shift};
        OneTile<D, kInto>(t, i, b, panel_stride, ahead, 0, p.depth, panels, strip);
      }
    }
  }

  void Run(int64_t panel_begin, int64_t panel_end) const {
    const int64_t rows = Row(tile1) - Row(tile0);
    const int64_t panel_stride = p.depth * D::kRowElements;
    const bool stream = tile1 - tile0 <= kStreamTiles;
    for (int64_t first = 0; first == 0 || first < p.depth; first += stretch) {
      const int64_t count = p.depth - first < stretch ? p.depth - first : stretch;
      const bool last = first + count >= p.depth;
      Pack(first, count);
      for (int64_t panel = panel_begin; panel < panel_end; panel += wide) {
        const int64_t panels = panel_end - panel < wide ? panel_end - panel : wide;
        const typename D::B* b = (const typename D::B*)p.g.packed + panel * panel_stride + first * D::kRowElements;
        // A single stretch finishes a strip before the next one begins.
        typename D::Sum* strip = strips + (stretch >= p.depth ? 0 : (panel - panel_begin) * rows * kPanel);
        if (stream) {
          StreamTiles(b, panel_stride, panels, strip);
        } else if constexpr (__is_same(D, typename D::Wide)) {
          Tiles<D>(b, panel_stride, first, count, panels, strip, b + panels * panel_stride, last ? panel : -1);
        } else {
          for (int64_t i = 0; i < panels; ++i) {
            UnpackPanel(D(), b + i * panel_stride, count, unpacked + i * count * D::Wide::kRowElements);
          }
          Tiles<typename D::Wide>(unpacked, count * D::Wide::kRowElements, first, count, panels, strip,
                                  b + panels * panel_stride, last ? panel : -1);
        }
        for (int64_t i = 0; last && i < panels; ++i) {
          FinishStrip(D(), p.g, StripOf(p.g, panel + i), Row(tile0), rows, strip + i * kPanel, wide * kPanel);
        }
      }
    }
  }
};

template <typename D>
static inline void GemmWith(const Product<D>& p, int64_t panel_begin, int64_t panel_end) {
  const GemmArgs& g = p.g;
  const int64_t tiles = (g.m + kIsaTileRows - 1) / kIsaTileRows;
  const int64_t tiles_per_block = kGemmRows / kIsaTileRows;
  const int64_t blocks = (tiles + tiles_per_block - 1) / tiles_per_block;
  const int64_t wide = IsaPanels((g.m + tiles - 1) / tiles);
  // kGemmDepth steps of a panel fit the first-level cache beside a tile of a. Few rows read each weight once: then
  // the whole depth, so that they come as one stream.
  const int64_t whole_blocks = kGemmDepth / p.sum_block * p.sum_block;
  const int64_t stretch = tiles <= kStreamTiles || whole_blocks >= p.depth ? p.depth : whole_blocks;
  const int64_t group = stretch >= p.depth ? panel_end - panel_begin : kGemmPanels / wide * wide;
  float* memory = g.workspace;
  float* unpacked = memory + kGemmPanels * kPanel * kGemmRows;
  float* packed_a = unpacked + kGemmUnpacked;
  for (int64_t block = 0; block < blocks; ++block) {
    RowBlock<D> rows{p,
                     tiles,
                     tiles * block / blocks,
                     tiles * (block + 1) / blocks,
                     wide,
                     stretch,
                     (typename D::A*)packed_a,
                     (typename D::Wide::B*)unpacked,
                     (typename D::Sum*)memory,
                     {}};
    rows.SetRows();
    for (int64_t panel = panel_begin; panel < panel_end; panel += group) {
      rows.Run(panel, panel_end - panel < group ? panel_end : panel + group);
    }
  }
}

// Terms of one sum block: equal ones, a multiple of eight but for the last.
static inline int64_t SumBlock(int64_t k) {
  const int64_t blocks = (k + kGemmSum - 1) / kGemmSum;
  return blocks <= 1 ? (k > 0 ? k : 1) : ((k + blocks - 1) / blocks + 7) / 8 * 8;
}

static void Gemm(const GemmArgs& g, int64_t panel_begin, int64_t panel_end) {
  if (g.weights == Weights::kBFloat16) {
    GemmWith(Product<BFloat16Dot>{g, g.a, g.lda, g.k, SumBlock(g.k)}, panel_begin, panel_end);
  } else {
    GemmWith(Product<FloatDot>{g, g.a, g.lda, g.k, SumBlock(g.k)}, panel_begin, panel_end);
  }
}

// `count` tiles of kRows rows below each other; one call, since a tile over few k is soon done.
template <int kRows, int kPanels>
static void TileRun(const TileArgs& t, int64_t count, int64_t k, const float* a, const float* b, float* out,
                    bool first) {
  for (int64_t i = 0; i < count; ++i) {
    TileBody<FloatDot, kRows, kPanels, false, Into::kNowhere>(k, a + i * kRows * t.lda, t.lda, b, t.panel_stride, {},
                                                              out + i * kRows * t.ldo, t.ldo, first);
  }
}

static inline void AnyTileRun(const TileArgs& t, int64_t rows, int64_t panels, int64_t count, int64_t k, const float* a,
                              const float* b, float* out, bool first) {
  if (count == 0) return;
  switch (rows * 8 + panels) {
#define TV_TILE_CASE(r, p)                        \
  case (r) * 8 + (p):                             \
    TileRun<r, p>(t, count, k, a, b, out, first); \
    return;
    TV_TILE_CASES
#undef TV_TILE_CASE
    default:
      for (int64_t p = 0; p < panels; ++p) {
        AnyTileRun(t, rows, 1, count, k, a, b + p * t.panel_stride, out + p * kPanel, first);
      }
  }
}

static void Tile(const TileArgs& t) {
  if (t.rows == 0) return;
  const int64_t tiles = (t.rows + kIsaTileRows - 1) / kIsaTileRows;
  // The first ones have one row more.
  const int64_t rows = t.rows / tiles;
  const int64_t taller = t.rows % tiles;
  const int64_t wide = IsaPanels(taller > 0 ? rows + 1 : rows);
  for (int64_t panel = 0; panel < t.panels; panel += wide) {
    const int64_t panels = t.panels - panel < wide ? t.panels - panel : wide;
    const float* b = t.b + panel * t.panel_stride;
    float* out = t.out + panel * kPanel;
    bool first = true;
    for (int64_t k0 = 0; first || k0 < t.k;) {
      const int64_t to_boundary = kMaxKBlock - (t.k_origin + k0) % kMaxKBlock;
      const int64_t kn = t.k - k0 < to_boundary ? t.k - k0 : to_boundary;
      const int64_t split = taller * (rows + 1);
      AnyTileRun(t, rows + 1, panels, taller, kn, t.a + k0, b + k0 * kPanel, out, first);
      AnyTileRun(t, rows, panels, tiles - taller, kn, t.a + split * t.lda + k0, b + k0 * kPanel, out + split * t.ldo,
                 first);
      first = false;
      k0 += kn > 0 ? kn : 1;
    }
  }
}
