// Matrix products on AMX tiles (Intel SDM, TDPBF16PS, TDPBSSD, TDPBUSD). Included inside the namespace of one isa_*.cc,
// after gemm_int8-inl.h, where the CPU has them (TV_AMX).
//
// A tile is 16 rows of 64 bytes. Weights are packed in lines of 32 bytes: 16 columns of one k (bfloat16) or two (int8).
// Two lines make a row of a weights tile, so a chunk of 32 lines a tile; what a row of activations has for a chunk is
// 64 bytes of bfloat16. int16 activations are split into high and low bytes, two tiles, whose exact sums 256 * high +
// low are those of the other instruction sets, bit by bit. bfloat16 sums go over all k in order. Rows and chunks are
// filled up with zeros: all tiles have one shape, and a row's result does not depend on the others.

constexpr int64_t kTileRows = 16;
constexpr int64_t kTileBytes = 1024;
constexpr int64_t kChunkLines = 32;
// Chunks of depth at a time: two panels of them fit the first-level cache.
constexpr int64_t kAmxDepth = 24;
constexpr int64_t kAmxPanels = 24;  // whose unfinished sums are kept while depth is cut

struct AmxBFloat16 {
  using Sum = float;
  static constexpr int64_t kLineTerms = 1;
  static constexpr int64_t kParts = 1;  // tiles for 16 rows of a chunk
  template <int kPanels>
  TV_INLINE void First() {
    _tile_dpbf16ps(0, 4, 6);
    if (kPanels > 1) _tile_dpbf16ps(1, 4, 7);
  }
  template <int kPanels>
  TV_INLINE void Second() {
    _tile_dpbf16ps(2, 5, 6);
    if (kPanels > 1) _tile_dpbf16ps(3, 5, 7);
  }
  TV_INLINE void PackRow(const int16_t* from, char* to) { _mm512_storeu_si512(to, _mm512_loadu_si512(from)); }
};

struct AmxInt8 {
  using Sum = int32_t;
  static constexpr int64_t kLineTerms = 2;
  static constexpr int64_t kParts = 2;  // high bytes, low bytes
  template <int kPanels>
  TV_INLINE void First() {
    _tile_dpbssd(0, 4, 6);
    if (kPanels > 1) _tile_dpbssd(1, 4, 7);
  }
  template <int kPanels>
  TV_INLINE void Second() {
    _tile_dpbusd(2, 5, 6);
    if (kPanels > 1) _tile_dpbusd(3, 5, 7);
  }
  TV_INLINE void PackRow(const int16_t* from, char* to) {
    for (int half = 0; half < 2; ++half) {
      const __m512i q = _mm512_loadu_si512(from + 32 * half);
      _mm256_storeu_si256((__m256i*)(to + 32 * half), _mm512_cvtepi16_epi8(_mm512_srai_epi16(q, 8)));
      _mm256_storeu_si256((__m256i*)(to + kTileBytes + 32 * half), _mm512_cvtepi16_epi8(q));
    }
  }
};

// GCC's tile intrinsics do not say that they read and write memory.
TV_INLINE void MemoryBarrier() { asm volatile("" ::: "memory"); }

struct AmxTileConfig {
  alignas(64) uint8_t bytes[64] = {};
  constexpr AmxTileConfig() {
    bytes[0] = 1;  // palette
    for (int tile = 0; tile < 8; ++tile) {
      bytes[16 + 2 * tile] = 64;  // bytes a row
      bytes[48 + tile] = 16;      // rows
    }
  }
};

// Where the tiles of one step lie: two of a, next apart, and the panels of b, both `count` chunks deep.
template <typename Sum>
struct AmxStep {
  int64_t count;
  const char* a;
  int64_t a_next, a_step;  // bytes to the second tile, to the next chunk
  const char* b;           // panels count * kTileBytes apart
  Sum* out;                // panels 16 apart
  int64_t out_next, ldo;   // to the second tile's sums, to the next row
  bool first;              // sums begin at 0
};

template <typename D, int kTiles, int kPanels>
static __attribute__((noinline)) void AmxTiles(const AmxStep<typename D::Sum>& s) {
  const int64_t stride = s.ldo * 4;
  MemoryBarrier();
  if (s.first) {
    _tile_zero(0);
    if (kPanels > 1) _tile_zero(1);
    if (kTiles > 1) _tile_zero(2);
    if (kTiles > 1 && kPanels > 1) _tile_zero(3);
  } else {
    _tile_loadd(0, s.out, stride);
    if (kPanels > 1) _tile_loadd(1, s.out + kPanel, stride);
    if (kTiles > 1) _tile_loadd(2, s.out + s.out_next, stride);
    if (kTiles > 1 && kPanels > 1) _tile_loadd(3, s.out + s.out_next + kPanel, stride);
  }
  for (int64_t i = 0; i < s.count; ++i) {
    _tile_loadd(6, s.b + i * kTileBytes, 64);
    if (kPanels > 1) _tile_loadd(7, s.b + (s.count + i) * kTileBytes, 64);
    _tile_loadd(4, s.a + i * s.a_step, 64);
    D::template First<kPanels>();
    if (kTiles > 1) {
      _tile_loadd(5, s.a + i * s.a_step + s.a_next, 64);
      D::template Second<kPanels>();
    }
  }
  _tile_stored(0, s.out, stride);
  if (kPanels > 1) _tile_stored(1, s.out + kPanel, stride);
  if (kTiles > 1) _tile_stored(2, s.out + s.out_next, stride);
  if (kTiles > 1 && kPanels > 1) _tile_stored(3, s.out + s.out_next + kPanel, stride);
  MemoryBarrier();
}

// Lines [first, first + 32 * count) of a panel as tiles: two lines a row, zeros after the last of `lines`.
static inline void UnpackTiles(const char* panel, int64_t lines, int64_t first, int64_t count, char* to) {
  const int64_t end = lines - first < count * kChunkLines ? lines - first : count * kChunkLines;
  const char* from = panel + first * 32;
  int64_t i = 0;
  for (; i + 2 <= end; i += 2) _mm512_storeu_si512(to + i * 32, PairRows({_mm512_loadu_si512(from + i * 32)}).v);
  if (i < end) {
    char last[64] = {};
    __builtin_memcpy(last, from + i * 32, 32);
    _mm512_storeu_si512(to + i * 32, PairRows({_mm512_loadu_si512(last)}).v);
    i += 2;
  }
  for (; i < count * kChunkLines; i += 2) _mm512_storeu_si512(to + i * 32, _mm512_setzero_si512());
}

// Rows [row0, row0 + rows) of one call.
template <typename D>
struct AmxBlock {
  using Sum = typename D::Sum;
  const GemmArgs& g;
  int64_t lines;  // of a panel
  int64_t row0, rows, tiles;
  int64_t wide;  // panels of `sums`
  char* a;       // [tiles][count][kParts] tiles
  char* b;       // [2][count] tiles
  Sum* sums;     // [kParts][tiles * 16][wide * 16]

  int64_t PlaneSize() const { return tiles * kTileRows * wide * kPanel; }

  void PackRows(int64_t first, int64_t count) const {
    const int64_t terms = lines * D::kLineTerms;
    const int64_t chunk = kChunkLines * D::kLineTerms;
    for (int64_t r = 0; r < tiles * kTileRows; ++r) {
      for (int64_t c = 0; c < count; ++c) {
        char* to = a + ((r / kTileRows * count + c) * D::kParts) * kTileBytes + r % kTileRows * 64;
        const int64_t at = first * D::kLineTerms + c * chunk;
        const int16_t* from = g.quantized + (row0 + r) * g.ldq + at;
        if (r < rows && at + chunk <= terms) {
          D::PackRow(from, to);
        } else {
          int16_t rest[kChunkLines * D::kLineTerms] = {};
          if (r < rows) __builtin_memcpy(rest, from, (size_t)(terms - at) * 2);
          D::PackRow(rest, to);
        }
      }
    }
  }

  template <int kPanels>
  void Multiply(int64_t count, Sum* out, bool first) const {
    const int64_t ldo = wide * kPanel;
    for (int64_t t = 0; t < tiles;) {
      AmxStep<Sum> s{count, a + t * count * D::kParts * kTileBytes,
                     0,     D::kParts * kTileBytes,
                     b,     out + t * kTileRows * ldo,
                     0,     ldo,
                     first};
      s.a_next = D::kParts > 1 ? kTileBytes : count * kTileBytes;
      s.out_next = D::kParts > 1 ? PlaneSize() : kTileRows * ldo;
      if (D::kParts > 1 || t + 1 < tiles) {
        AmxTiles<D, 2, kPanels>(s);
        t += D::kParts > 1 ? 1 : 2;
      } else {
        AmxTiles<D, 1, kPanels>(s);
        ++t;
      }
    }
  }

  void FinishPanel(AmxBFloat16, int64_t panel, const float* strip) const {
    FinishStrip(FloatDot(), g, StripOf(g, panel), row0, rows, strip, wide * kPanel);
  }
  void FinishPanel(AmxInt8, int64_t panel, const int32_t* strip) const {
    const Strip s = StripOf(g, panel);
    const F16 scale = LoadN(g.column_scales + s.column, s.count);
    Finish(g, s, row0, rows, [&](int64_t r) TV_ALWAYS_INLINE {
      const int32_t* high = strip + r * wide * kPanel;
      const I16 sum = {_mm512_add_epi32(_mm512_slli_epi32(LoadI(high).v, 8), LoadI(high + PlaneSize()).v)};
      return Mul(ToFloats(sum), Mul(scale, Set1(g.row_scales[row0 + r])));
    });
  }

  void Run(int64_t panel_begin, int64_t panel_end, int64_t depth) const {
    const int64_t chunks = (lines + kChunkLines - 1) / kChunkLines;
    for (int64_t at = 0; at < chunks; at += depth) {
      const int64_t count = chunks - at < depth ? chunks - at : depth;
      PackRows(at * kChunkLines, count);
      for (int64_t panel = panel_begin; panel < panel_end; panel += 2) {
        const int64_t panels = panel_end - panel < 2 ? 1 : 2;
        for (int64_t i = 0; i < panels; ++i) {
          UnpackTiles((const char*)g.packed + (panel + i) * lines * 32, lines, at * kChunkLines, count,
                      b + i * count * kTileBytes);
        }
        Sum* out = sums + (wide > 2 ? (panel - panel_begin) * kPanel : 0);
        if (panels > 1) {
          Multiply<2>(count, out, at == 0);
        } else {
          Multiply<1>(count, out, at == 0);
        }
        for (int64_t i = 0; at + count >= chunks && i < panels; ++i) FinishPanel(D(), panel + i, out + i * kPanel);
      }
    }
  }
};

template <typename D>
static inline void GemmAmx(const GemmArgs& g, int64_t lines, int64_t panel_begin, int64_t panel_end) {
  const int64_t chunks = (lines + kChunkLines - 1) / kChunkLines;
  const int64_t depth = chunks < kAmxDepth ? chunks : kAmxDepth;
  // A single stretch of depth finishes two panels before the next two begin.
  const int64_t panels = panel_end - panel_begin;
  const int64_t wide = chunks <= depth ? 2 : panels < kAmxPanels ? (panels + 1) / 2 * 2 : kAmxPanels;
  const int64_t group = chunks <= depth ? panels : wide;
  const int64_t tile_bytes = D::kParts * (depth * kTileBytes + wide * kTileBytes);  // 16 rows of a and of sums
  const int64_t most_tiles = (GemmWorkspace(g.m, g.k) * 4 - 2 * depth * kTileBytes) / tile_bytes;
  const int64_t all_tiles = (g.m + kTileRows - 1) / kTileRows;
  const int64_t blocks = (all_tiles + most_tiles - 1) / most_tiles;
  static constexpr AmxTileConfig config;
  MemoryBarrier();
  _tile_loadconfig(config.bytes);
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t row0 = all_tiles * block / blocks * kTileRows;
    const int64_t row1 = all_tiles * (block + 1) / blocks * kTileRows;
    const int64_t tiles = (row1 - row0) / kTileRows;
    char* memory = (char*)g.workspace;
    char* a = memory + 2 * depth * kTileBytes;
    auto* sums = (typename D::Sum*)(a + D::kParts * tiles * depth * kTileBytes);
    const AmxBlock<D> rows{g, lines, row0, (row1 < g.m ? row1 : g.m) - row0, tiles, wide, a, memory, sums};
    for (int64_t panel = panel_begin; panel < panel_end; panel += group) {
      rows.Run(panel, panel_end - panel < group ? panel_end : panel + group, depth);
    }
  }
  _tile_release();
}

static void GemmAmxBFloat16(const GemmArgs& g, int64_t panel_begin, int64_t panel_end) {
  if (g.m > 0) GemmAmx<AmxBFloat16>(g, g.k, panel_begin, panel_end);
}

// Few rows take as long as reading the weights: without tiles.
static void GemmAmxInt8(const GemmArgs& g, int64_t panel_begin, int64_t panel_end) {
  if (g.m <= kGemmStreamRows) return GemmInt8(g, panel_begin, panel_end);
  GemmAmx<AmxInt8>(g, (g.k + 1) / 2, panel_begin, panel_end);
}
