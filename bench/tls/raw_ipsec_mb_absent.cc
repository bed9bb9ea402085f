#include "bench/tls/raw_ipsec_mb.h"

namespace ktlsim::tls {

struct RawIpsecMb::State {};
RawIpsecMb::RawIpsecMb(std::span<const std::uint8_t>) {}
RawIpsecMb::~RawIpsecMb() = default;
void RawIpsecMb::Seal(std::span<std::uint8_t>) {}

}  // namespace ktlsim::tls
