// The avx_vnni kernel table: avx2, with the int16 dot product of AVX-VNNI (vpdpwssd) in place of two instructions.
#if defined(__x86_64__)
#define TV_VNNI
#define TV_ISA avx_vnni
#define TV_ISA_NAME "avx_vnni"
#include "kernels/table_avx2-inl.h"
#endif
