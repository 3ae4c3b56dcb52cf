// AVX-512 and AMX intrinsics that SIMDe 0.7.4 (Debian 12) lacks, lane by lane, for the emulated tables of tests/isa.
// Included by table_avx512-inl.h under TRUEVEC_SIMDE only.
#undef _mm512_madd_epi16  // SIMDe gives its alias the mask form's arguments
#define _mm512_madd_epi16(a, b) simde_mm512_madd_epi16(a, b)

namespace {

// Each lane of type From converted by a C cast to type To.
template <typename Result, typename From, typename To, typename Argument>
inline Result ConvertLanes(Argument a) {
  constexpr int kCount = sizeof(Argument) / sizeof(From);
  static_assert(sizeof(Result) == kCount * sizeof(To));
  From x[kCount];
  To y[kCount];
  __builtin_memcpy(x, &a, sizeof x);
  for (int i = 0; i < kCount; ++i) y[i] = (To)x[i];
  Result r;
  __builtin_memcpy(&r, y, sizeof r);
  return r;
}
inline __m512 Emulated_cvtepi32_ps(__m512i a) { return ConvertLanes<__m512, int32_t, float>(a); }
inline __m512i Emulated_cvttps_epi32(__m512 a) { return ConvertLanes<__m512i, float, int32_t>(a); }
inline __m512i Emulated_cvtepu16_epi32(__m256i a) { return ConvertLanes<__m512i, uint16_t, int32_t>(a); }
inline __m256i Emulated_cvtepi32_epi16(__m512i a) { return ConvertLanes<__m256i, int32_t, int16_t>(a); }
inline __m512d Emulated_cvtps_pd(__m256 a) { return ConvertLanes<__m512d, float, double>(a); }
inline __m256 Emulated_cvtpd_ps(__m512d a) { return ConvertLanes<__m256, double, float>(a); }
inline __m512i Emulated_cvtps_epi32(__m512 a) {
  float x[16];
  __builtin_memcpy(x, &a, sizeof x);
  for (float& value : x) value = __builtin_rintf(value);
  __builtin_memcpy(&a, x, sizeof a);
  return Emulated_cvttps_epi32(a);
}
inline __m512 Emulated_maskz_loadu_ps(uint16_t mask, const void* p) {
  float y[16];
  for (int i = 0; i < 16; ++i) y[i] = (mask >> i & 1) != 0 ? ((const float*)p)[i] : 0.0f;
  __m512 r;
  __builtin_memcpy(&r, y, sizeof y);
  return r;
}
inline void Emulated_mask_storeu_ps(void* p, uint16_t mask, __m512 a) {
  float x[16];
  __builtin_memcpy(x, &a, sizeof x);
  for (int i = 0; i < 16; ++i) {
    if ((mask >> i & 1) != 0) ((float*)p)[i] = x[i];
  }
}
inline __m256bh Emulated_cvtneps_pbh(__m512 a) {
  uint32_t x[16];
  uint16_t y[16];
  __builtin_memcpy(x, &a, sizeof x);
  for (int i = 0; i < 16; ++i) {
    const uint32_t magnitude = x[i] & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u) {
      y[i] = (uint16_t)(x[i] >> 16 | 0x40u);
    } else if (magnitude < 0x00800000u) {  // denormal
      y[i] = (uint16_t)(x[i] >> 16 & 0x8000u);
    } else {
      y[i] = (uint16_t)((x[i] + 0x7FFFu + (x[i] >> 16 & 1u)) >> 16);
    }
  }
  __m256bh r;
  __builtin_memcpy(&r, y, sizeof r);
  return r;
}
inline float Emulated_reduce_max_ps(__m512 a) {
  float x[16];
  __builtin_memcpy(x, &a, sizeof x);
  float max = x[0];
  for (int i = 1; i < 16; ++i) max = x[i] > max ? x[i] : max;
  return max;
}
inline __m256 Emulated_extractf32x8_ps(__m512 a, int half) {
  __m256 r;
  __builtin_memcpy(&r, (const char*)&a + 32 * half, sizeof r);
  return r;
}

// AMX with all tiles of 16 rows of 64 bytes (Intel SDM).
alignas(64) unsigned char tiles[8][16][64];
template <typename T>
T& TileElement(int tile, int row, int column) {
  return ((T*)tiles[tile][row])[column];
}
void Emulated_tile_loadd(int tile, const void* from, int64_t stride) {
  for (int row = 0; row < 16; ++row) __builtin_memcpy(tiles[tile][row], (const char*)from + row * stride, 64);
}
void Emulated_tile_stored(int tile, void* to, int64_t stride) {
  for (int row = 0; row < 16; ++row) __builtin_memcpy((char*)to + row * stride, tiles[tile][row], 64);
}
void Emulated_tile_zero(int tile) { __builtin_memset(tiles[tile], 0, sizeof tiles[tile]); }
template <typename A>
void Emulated_tile_dpb(int c, int a, int b) {
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 16; ++column) {
      for (int i = 0; i < 64; ++i) {
        TileElement<int32_t>(c, row, column) +=
            (int32_t)TileElement<A>(a, row, i) * TileElement<int8_t>(b, i / 4, 4 * column + i % 4);
      }
    }
  }
}
float TileBFloat16(int tile, int row, int column) {
  uint32_t bits = (uint32_t)TileElement<uint16_t>(tile, row, column) << 16;
  if ((bits & 0x7F800000u) == 0) bits &= 0x80000000u;  // denormals count as zero
  float x;
  __builtin_memcpy(&x, &bits, 4);
  return x;
}
void Emulated_tile_dpbf16ps(int c, int a, int b) {
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 16; ++column) {
      for (int pair = 0; pair < 16; ++pair) {
        float& sum = TileElement<float>(c, row, column);
        sum += TileBFloat16(a, row, 2 * pair) * TileBFloat16(b, pair, 2 * column);
        sum += TileBFloat16(a, row, 2 * pair + 1) * TileBFloat16(b, pair, 2 * column + 1);
      }
    }
  }
}

}  // namespace

#undef _tile_loadconfig
#define _tile_loadconfig(config) (void)(config)
#undef _tile_release
#define _tile_release() (void)0
#undef _tile_zero
#define _tile_zero Emulated_tile_zero
#undef _tile_loadd
#define _tile_loadd Emulated_tile_loadd
#undef _tile_stored
#define _tile_stored Emulated_tile_stored
#undef _tile_dpbf16ps
#define _tile_dpbf16ps Emulated_tile_dpbf16ps
#undef _tile_dpbssd
#define _tile_dpbssd Emulated_tile_dpb<int8_t>
#undef _tile_dpbusd
#define _tile_dpbusd Emulated_tile_dpb<uint8_t>
#undef _mm512_cvtepi32_ps
#define _mm512_cvtepi32_ps Emulated_cvtepi32_ps
#undef _mm512_cvtps_epi32
#define _mm512_cvtps_epi32 Emulated_cvtps_epi32
#undef _mm512_cvttps_epi32
#define _mm512_cvttps_epi32 Emulated_cvttps_epi32
#undef _mm512_cvtepu16_epi32
#define _mm512_cvtepu16_epi32 Emulated_cvtepu16_epi32
#undef _mm512_cvtepi32_epi16
#define _mm512_cvtepi32_epi16 Emulated_cvtepi32_epi16
#undef _mm512_cvtps_pd
#define _mm512_cvtps_pd Emulated_cvtps_pd
#undef _mm512_cvtpd_ps
#define _mm512_cvtpd_ps Emulated_cvtpd_ps
#undef _mm512_maskz_loadu_ps
#define _mm512_maskz_loadu_ps Emulated_maskz_loadu_ps
#undef _mm512_mask_storeu_ps
#define _mm512_mask_storeu_ps Emulated_mask_storeu_ps
#undef _mm512_reduce_max_ps
#define _mm512_reduce_max_ps Emulated_reduce_max_ps
#undef _mm512_extractf32x8_ps
#define _mm512_extractf32x8_ps Emulated_extractf32x8_ps
#undef _mm512_cvtneps_pbh
#define _mm512_cvtneps_pbh Emulated_cvtneps_pbh
