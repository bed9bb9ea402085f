// Status: failure as a value. It has a category, a code, and words that say what was tried.
//
// Translation into SECURITY_STATUS happens once, in kernel_sim/sspi; into an alert, once, in tls.
#pragma once

#include <cstdint>
#include <string>

#include "kernel_sim/base/export.h"

namespace ktlsim {

enum class Category : std::uint8_t {
  kNone,      // success
  kContract,  // the caller broke a rule
  kResource,  // memory, descriptors, queue places; code is an errno value, or 0
  kIo,        // code is an errno value
  kTls,       // code is an AlertDescription
  kCrypto,    // code is a library's reason, or 0
};

// Small and trivially copyable. `what` must outlive the Status: pass a literal.
class [[nodiscard]] Status {
 public:
  constexpr Status() = default;
  constexpr Status(Category category, int code, const char* what)
      : what_(what), code_(code), category_(category) {}

  constexpr bool ok() const { return category_ == Category::kNone; }
  constexpr Category category() const { return category_; }
  constexpr int code() const { return code_; }
  // What was tried, in words such as "bind the listening socket". Never null.
  constexpr const char* what() const { return what_; }

  // For an errno value "bind the listening socket: Address already in use"; otherwise what() and
  // the code.
  KTLSIM_EXPORT std::string ToString() const;

 private:
  const char* what_ = "";
  int code_ = 0;
  Category category_ = Category::kNone;
};

const char* CategoryName(Category category);

inline Status IoError(int error_number, const char* what) {
  return {Category::kIo, error_number, what};
}
inline Status ResourceError(const char* what) { return {Category::kResource, 0, what}; }

}  // namespace ktlsim
