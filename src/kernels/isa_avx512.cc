// The avx512 kernel table.
#if defined(__x86_64__)
#define TV_ISA avx512
#define TV_ISA_NAME "avx512"
#include "kernels/table_avx512-inl.h"
#endif
