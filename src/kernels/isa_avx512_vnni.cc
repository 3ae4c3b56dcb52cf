// The avx512_vnni kernel table: avx512, with the int16 dot product of AVX-512 VNNI (vpdpwssd) in place of two
// instructions.
#if defined(__x86_64__)
#define TV_VNNI
#define TV_ISA avx512_vnni
#define TV_ISA_NAME "avx512_vnni"
#include "kernels/table_avx512-inl.h"
#endif
