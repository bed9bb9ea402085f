// Keys from secrets: the part of the TLS 1.3 key schedule that lives on after the handshake
// (RFC 8446 7.1-7.3, 7.5) and the TLS 1.2 PRF (RFC 5246 5, 6.3; exporter RFC 5705).
//
// Functions return false only when memory or the library fails; their output is then undefined.
// Any thread, any level.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "tls/record/secret.h"
#include "tls/types.h"

namespace ktlsim::tls {

using Bytes = std::span<const std::uint8_t>;

// What protects one direction.
struct TrafficKeys {
  Secret key;
  // RFC 8446: 12 bytes. RFC 5288: the 4 byte salt, then zeros.
  Secret iv;
};

[[nodiscard]] bool Digest(HashId hash, Bytes data, Secret& out);
[[nodiscard]] bool HmacHash(HashId hash, Bytes key, Bytes data, Secret& out);

// RFC 5869 2.2 and 2.3. `out.size()` is the length wanted, at most 255 hash lengths.
[[nodiscard]] bool HkdfExtract(HashId hash, Bytes salt, Bytes key_material, Secret& out);
[[nodiscard]] bool HkdfExpand(HashId hash, Bytes secret, Bytes info, std::span<std::uint8_t> out);
// RFC 8446 7.1, `label` without "tls13 ".
[[nodiscard]] bool HkdfExpandLabel(HashId hash, Bytes secret, std::string_view label, Bytes context,
                                   std::span<std::uint8_t> out);

// RFC 8446 7.3.
[[nodiscard]] bool DeriveTrafficKeys(const SuiteInfo& suite, const Secret& traffic_secret,
                                     TrafficKeys& out);
// RFC 8446 7.2. `out` may be `traffic_secret`.
[[nodiscard]] bool NextTrafficSecret(HashId hash, const Secret& traffic_secret, Secret& out);

// RFC 5246 5: P_hash(secret, label + seed).
[[nodiscard]] bool Tls12Prf(HashId hash, Bytes secret, std::string_view label, Bytes seed,
                            std::span<std::uint8_t> out);

struct Tls12KeyBlock {
  TrafficKeys client_write;
  TrafficKeys server_write;
};
[[nodiscard]] bool DeriveTls12KeyBlock(const SuiteInfo& suite, const Secret& master_secret,
                                       Bytes client_random, Bytes server_random,
                                       Tls12KeyBlock& out);

// RFC 8446 7.5. An absent context and an empty one are the same here.
[[nodiscard]] bool ExportTls13(HashId hash, const Secret& exporter_secret, std::string_view label,
                               Bytes context, std::span<std::uint8_t> out);
// RFC 5705 4. An absent context and an empty one differ; at most 65535 bytes.
[[nodiscard]] bool ExportTls12(HashId hash, const Secret& master_secret, Bytes client_random,
                               Bytes server_random, std::string_view label,
                               std::optional<Bytes> context, std::span<std::uint8_t> out);

}  // namespace ktlsim::tls
