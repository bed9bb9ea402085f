#include "tls/record/aead_ipsec_mb.h"

namespace ktlsim::tls {

const IpsecMbProbe& ProbeIpsecMb() {
  static constexpr IpsecMbProbe kProbe{false, "built without ipsec-mb"};
  return kProbe;
}

std::unique_ptr<Aead> CreateIpsecMbAead(AeadId, std::span<const std::uint8_t>) { return nullptr; }

}  // namespace ktlsim::tls
