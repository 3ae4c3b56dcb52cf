// The avx512_bf16 kernel table: avx512_vnni, with the bfloat16 dot product of AVX-512 BF16 (vdpbf16ps).
#if defined(__x86_64__)
#define TV_VNNI
#define TV_BF16
#define TV_ISA avx512_bf16
#define TV_ISA_NAME "avx512_bf16"
#include "kernels/table_avx512-inl.h"
#endif
