#include "kernel_sim/base/status.h"

#include <system_error>

namespace ktlsim {

const char* CategoryName(Category category) {
  switch (category) {
    case Category::kNone:
      return "ok";
    case Category::kContract:
      return "contract";
    case Category::kResource:
      return "resource";
    case Category::kIo:
      return "io";
    case Category::kTls:
      return "tls";
    case Category::kCrypto:
      return "crypto";
  }
  return "?";
}

std::string Status::ToString() const {
  if (ok()) return "ok";
  std::string text = what_;
  if (category_ == Category::kIo || (category_ == Category::kResource && code_ != 0)) {
    text += ": " + std::generic_category().message(code_);
  } else if (code_ != 0) {
    text += std::string(" (") + CategoryName(category_) + " " + std::to_string(code_) + ")";
  }
  return text;
}

}  // namespace ktlsim
