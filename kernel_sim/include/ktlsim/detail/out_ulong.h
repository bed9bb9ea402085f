// Out-parameters of type "pointer to unsigned long", in both widths, with one binary interface.
//
// Windows code declares the variable as ULONG (32 bits here) or as `unsigned long` (64 bits here)
// and passes its address to the same parameter. The parameter is a plain `ULONG*`, to which 32 bits
// are written. They are the lower half of an `unsigned long`. Its upper half becomes zero when the
// argument is made: before the call, so also when the call fails and leaves the lower half as it
// was.
//
// Nothing else tells the widths apart. So whatever function is called, the library's or a
// program's own that it put into a function table, finds an address that it may write to.
//
//   C:   the parameter is `ULONG*`; a macro of the function's own name wraps the argument in
//        KTLSIM_ULONG_OUT_ARGUMENT, also behind `->` and `.`, where the name is a table's member.
//        A function without its parentheses is the plain function, and its pointer takes `ULONG*`.
//   C++: the parameter is a KtlsimUlongOut, a trivially copyable class of one pointer, which is
//        passed exactly as the pointer is. No macro exists, so members may bear the functions'
//        names.
//
// NULL, nullptr and 0 are accepted in either language and mean "not wanted". The address need not
// be aligned.
#pragma once

#include <ktlsim/detail/types.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "ktlsim needs a little-endian target: the lower half of an unsigned long is its first"
#endif

#ifdef __cplusplus

extern "C++" {

// Declared, never defined: the types that an argument may point at.
void KtlsimUlongOutTakes(ULONG*);
void KtlsimUlongOutTakes(unsigned long*);

class KtlsimUlongOut {
 public:
  KtlsimUlongOut() = default;

  // `0` and `NULL` can only become this one, because the other constructor is a template.
  KtlsimUlongOut(decltype(nullptr)) : first_byte_(nullptr) {}

  // From a ULONG*, or from an `unsigned long*`, whose variable's upper half becomes zero.
  template <typename Integer,
            typename = decltype(KtlsimUlongOutTakes(static_cast<Integer*>(nullptr)))>
  KtlsimUlongOut(Integer* out) : first_byte_(reinterpret_cast<unsigned char*>(out)) {
    if (out == nullptr) return;
    // Byte by byte here and in Store, because the variable is of another type than what is written.
    for (unsigned i = sizeof(ULONG); i < sizeof(Integer); ++i) first_byte_[i] = 0;
  }

  // True when the caller wants the value.
  explicit operator bool() const { return first_byte_ != nullptr; }

  // Writes `value` into the caller's variable, which must be alive; does nothing for NULL. Any
  // level.
  void Store(uint32_t value) const {
    if (first_byte_ != nullptr) __builtin_memcpy(first_byte_, &value, sizeof(value));
  }

 private:
  unsigned char* first_byte_;
};

static_assert(__is_trivially_copyable(KtlsimUlongOut) && sizeof(KtlsimUlongOut) == sizeof(void*),
              "passed in a register, as the pointer of the C declaration is");
static_assert(sizeof(ULONG) == 4 && sizeof(unsigned long) == 8, "two widths");

}  // extern "C++"

#define KTLSIM_ULONG_OUT KtlsimUlongOut

#else

static inline ULONG* KtlsimLowerHalf(void* out) {
  if (out != NULL) {
    unsigned char* const bytes = (unsigned char*)out;
    for (unsigned i = sizeof(ULONG); i < sizeof(unsigned long); ++i) bytes[i] = 0;
  }
  return (ULONG*)out;
}

// The default branch takes ULONG*, NULL in any spelling, and leaves anything else to the compiler.
#define KTLSIM_ULONG_OUT_ARGUMENT(out) \
  _Generic((out), unsigned long*: KtlsimLowerHalf((void*)(out)), default: (out))

#define KTLSIM_ULONG_OUT ULONG*

#endif
