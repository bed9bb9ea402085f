// A client's own nonce: 33 random bytes in base64, which needs no padding.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include <openssl/evp.h>

#include "kernel_sim/sspi/packages/package_host.h"

namespace ktlsim::sspi {

// Any level.
class DigestCnonce {
 public:
  // False: the host has no random bytes.
  [[nodiscard]] bool Draw(PackageHost& host) {
    fixed_ = host.FixedClientNonce();
    std::array<std::byte, kBytes> drawn{};
    if (!host.FillRandom(drawn)) return false;
    EVP_EncodeBlock(text_.data(), reinterpret_cast<const unsigned char*>(drawn.data()),
                    static_cast<int>(drawn.size()));
    return true;
  }
  std::string_view view() const {
    if (!fixed_.empty()) return fixed_;
    return {reinterpret_cast<const char*>(text_.data()), text_.size() - 1};
  }

 private:
  static constexpr std::size_t kBytes = 33;

  std::array<unsigned char, kBytes / 3 * 4 + 1> text_{};  // with a NUL
  std::string_view fixed_;                                // the host's; empty: it has none
};

}  // namespace ktlsim::sspi
