// Out-parameters of type "pointer to unsigned long", in both widths, behind one binary interface.
//
// Windows code declares the variable as ULONG (32 bits here) or as `unsigned long` (64 bits here)
// and passes its address to the same parameter. The pointer's bit 0 says which: clear for ULONG,
// set for `unsigned long`. Both types are aligned to at least four bytes, so the bit is free.
//
//   C:   the parameter is `ULONG*`; a macro of the function's own name wraps the argument in
//        KTLSIM_ULONG_OUT_ARGUMENT. A function without its parentheses is the plain function, and
//        its pointer takes `ULONG*`.
//   C++: the parameter is a KtlsimUlongOut, a trivially copyable class of one pointer-sized word,
//   which
//        is passed exactly as the pointer is. No macro exists, so members may bear the functions'
//        names.
//
// NULL, nullptr and 0 are accepted in either language and mean "not wanted".
#pragma once

#include <ktlsim/detail/types.h>

#ifdef __cplusplus

extern "C++" {

// The types a caller may point at, each with the tag of its pointer.
template <typename Integer>
struct KtlsimUlongOutTag;
template <>
struct KtlsimUlongOutTag<ULONG> {
  static constexpr uintptr_t kTag = 0;
};
template <>
struct KtlsimUlongOutTag<unsigned long> {
  static constexpr uintptr_t kTag = 1;
};

class KtlsimUlongOut {
 public:
  KtlsimUlongOut() = default;

  // `0` and `NULL` can only become this one, because the other constructor is a template.
  KtlsimUlongOut(decltype(nullptr)) : word_(0) {}

  template <typename Integer, uintptr_t tag = KtlsimUlongOutTag<Integer>::kTag>
  KtlsimUlongOut(Integer* out)
      : word_(out == nullptr ? 0 : reinterpret_cast<uintptr_t>(out) | tag) {}

  // True when the caller wants the value.
  explicit operator bool() const { return word_ != 0; }

  // Writes `value` in the width the caller declared, once; does nothing for NULL. The caller's
  // variable must be alive. Any level.
  void Store(uint32_t value) const {
    if (word_ == 0) return;
    if ((word_ & 1) == 0) {
      *reinterpret_cast<ULONG*>(word_) = value;
    } else {
      *reinterpret_cast<unsigned long*>(word_ & ~uintptr_t{1}) = value;
    }
  }

 private:
  uintptr_t word_;
};

static_assert(__is_trivially_copyable(KtlsimUlongOut) && sizeof(KtlsimUlongOut) == sizeof(void*),
              "passed in a register, as the pointer of the C declaration is");
static_assert(sizeof(unsigned long) == 8 && alignof(unsigned long) >= 2 && alignof(ULONG) >= 2,
              "bit 0 of the pointer is free");

}  // extern "C++"

#define KTLSIM_ULONG_OUT KtlsimUlongOut

#else

static inline ULONG* KtlsimTagWideOut(void* out) {
  return out == NULL ? NULL : (ULONG*)((uintptr_t)out | 1U);
}

// The default branch takes ULONG*, NULL in any spelling, and leaves anything else to the compiler.
#define KTLSIM_ULONG_OUT_ARGUMENT(out) \
  _Generic((out), unsigned long*: KtlsimTagWideOut((void*)(out)), default: (out))

#define KTLSIM_ULONG_OUT ULONG*

#endif
