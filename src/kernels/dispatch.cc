// Chooses the kernel table once, by what the CPU and the operating system support.
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "kernels/kernels.h"

namespace truevec::kernels {

namespace scalar {
extern const KernelTable kTable;
}
#if defined(__x86_64__)
namespace avx2 {
extern const KernelTable kTable;
}
namespace avx_vnni {
extern const KernelTable kTable;
}
namespace avx512_vnni {
extern const KernelTable kTable;
}
namespace avx512_bf16 {
extern const KernelTable kTable;
}
namespace avx512_amx {
extern const KernelTable kTable;
}
namespace avx512 {
extern const KernelTable kTable;
}
#elif defined(__aarch64__)
namespace neon {
extern const KernelTable kTable;
}
#endif

namespace {

#if defined(__x86_64__)
// CPUID leaf 7, subleaf 1, EAX bit 4; __builtin_cpu_supports of GCC 12 does not know it.
bool HasAvxVnni() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax >> 4 & 1) != 0;
}

// CPUID leaf 7, EDX bits 22 (AMX-BF16), 24 (AMX-TILE), 25 (AMX-INT8), and Linux's leave to use the tiles, which a
// process asks for once (arch_prctl with ARCH_REQ_XCOMP_PERM and XFEATURE_XTILEDATA; Linux,
// Documentation/arch/x86/xstate.rst).
bool HasAmx() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  constexpr unsigned kWanted = 1u << 22 | 1u << 24 | 1u << 25;
  constexpr long kRequestPermission = 0x1023;
  constexpr long kTileData = 18;
  return (edx & kWanted) == kWanted && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
#endif

struct Available {
  const KernelTable* tables[8];
  int count = 0;

  Available() {
#if defined(__x86_64__)
    __builtin_cpu_init();
#ifdef TRUEVEC_SIMDE
    const bool emulated = true;
#else
    const bool emulated = false;
#endif
    const bool avx512 = emulated || (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                                     __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"));
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool vnni = emulated || __builtin_cpu_supports("avx512vnni");
    const bool bf16 = avx512 && vnni && (emulated || __builtin_cpu_supports("avx512bf16"));
    if (bf16 && (emulated || HasAmx())) tables[count++] = &avx512_amx::kTable;
    // Intel's CPUs take longer for vdpbf16ps than for widening the weights (Emerald Rapids: twice as long): on request.
    const bool slow_bf16 = __builtin_cpu_is("intel") != 0;
    if (bf16 && !slow_bf16) tables[count++] = &avx512_bf16::kTable;
    if (avx512 && vnni) tables[count++] = &avx512_vnni::kTable;
    if (avx512) tables[count++] = &avx512::kTable;
    if (bf16 && slow_bf16) tables[count++] = &avx512_bf16::kTable;
    if (avx2 && (emulated || HasAvxVnni())) tables[count++] = &avx_vnni::kTable;
    if (avx2) tables[count++] = &avx2::kTable;
#elif defined(__aarch64__)
    tables[count++] = &neon::kTable;  // part of the base architecture
#endif
    tables[count++] = &scalar::kTable;
  }
};

const Available& All() {
  static const Available available;
  return available;
}

const KernelTable*& Chosen() {
  static const KernelTable* chosen = All().tables[0];
  return chosen;
}

}  // namespace

int AvailableTables(const KernelTable* const** tables) {
  *tables = All().tables;
  return All().count;
}

const KernelTable* FindTable(const char* name) {
  for (int i = 0; i < All().count; ++i) {
    if (strcmp(All().tables[i]->name, name) == 0) return All().tables[i];
  }
  return nullptr;
}

const KernelTable& Active() { return *Chosen(); }

bool ForceTable(const char* name) {
  const KernelTable* table = FindTable(name);
  if (table == nullptr) return false;
  Chosen() = table;
  return true;
}

}  // namespace truevec::kernels
