// Channel bindings in HTTP Digest, as Windows has them ([MS-DPSP]): the client says for
// which service and over which TLS channel it made its response, so that a server notices one that
// somebody else has passed on.
//
// A server that understands them begins its nonces with kUpgraded. The client then writes three
// more directives, service-name, channel-binding and hashed-dirs, which names them, and begins its
// own nonce with kUpgraded and their hash. The response covers that nonce, and so covers them.
//
// What a newcomer gets wrong: a channel-binding of zeros is no binding; the client knows of them
// and has none. Any level, no state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "kernel_sim/digest/hash.h"

namespace ktlsim::digest {

inline constexpr std::string_view kUpgraded = "+Upgraded+v1";
inline constexpr std::string_view kHashedDirectives = "service-name,channel-binding";
// Of channel-binding: the digits of an MD5 hash.
inline constexpr std::size_t kChannelDigits = 32;
inline constexpr std::string_view kNoChannel = "00000000000000000000000000000000";

// A server's nonce of any version that asks for bindings.
constexpr bool AsksForBindings(std::string_view nonce) { return nonce.starts_with("+Upgraded+"); }
// A client's nonce that covers bindings.
constexpr bool CoversBindings(std::string_view cnonce) { return cnonce.starts_with(kUpgraded); }

struct Bindings {
  std::string service_name;  // an SPN, UTF-8; may be empty
  std::string channel;       // kChannelDigits digits in lower case
};

enum class BindingsVerdict : std::uint8_t {
  kRight,
  kWrong,  // the client's nonce covers others
  kNoMemory,
};

// The beginning of a client's nonce that covers `bindings`; random characters follow. False: no
// memory. May throw std::bad_alloc.
[[nodiscard]] bool MakeCoverage(const Bindings& bindings, std::string* text);
// Whether `cnonce` covers them.
BindingsVerdict CheckCoverage(std::string_view cnonce, std::string_view service_name,
                              std::string_view channel);

// The parts of a SEC_CHANNEL_BINDINGS as the hash takes them.
struct ChannelFacts {
  std::uint32_t initiator_type = 0;
  std::span<const std::byte> initiator;
  std::uint32_t acceptor_type = 0;
  std::span<const std::byte> acceptor;
  std::span<const std::byte> application;
};
// *digits is what channel-binding names. False: no memory. May throw std::bad_alloc.
[[nodiscard]] bool HashChannel(const ChannelFacts& facts, std::string* digits);

}  // namespace ktlsim::digest
