// The lists of qualities of protection that challenges have, such as "auth,auth-int".
//
// Private to digest/. Any level, no state.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

#include "kernel_sim/digest/algorithm.h"
#include "kernel_sim/digest/directives.h"

namespace ktlsim::digest {

// Those of `list` that are in `known`; others are passed over.
inline QopSet ParseQops(std::string_view list, QopSet known) {
  QopSet qops;
  ForEachElement(list, [&](std::string_view name) {
    Qop qop = Qop::kAuth;
    if (ParseQop(name, &qop) && known.Has(qop)) qops.Add(qop);
  });
  return qops;
}

// The text of a list, the weakest first.
class QopList {
 public:
  explicit QopList(QopSet qops) {
    for (const Qop qop : {Qop::kAuth, Qop::kAuthInt, Qop::kAuthConf}) {
      if (!qops.Has(qop)) continue;
      if (size_ != 0) Append(",");
      Append(NameOf(qop));
    }
  }
  std::string_view view() const { return {text_.data(), size_}; }

 private:
  void Append(std::string_view text) {
    std::ranges::copy(text, text_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ += text.size();
  }

  std::array<char, 32> text_{};
  std::size_t size_ = 0;
};

}  // namespace ktlsim::digest
