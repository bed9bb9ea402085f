// SslGetServerIdentity: the server name in a ClientHello. Pure parsing of hostile bytes.

#include <schannel.h>
#include <sspi.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "kernel_sim/sspi/last_error.h"

namespace {

// Reads forward through bytes; every step fails once one has.
class Cursor {
 public:
  explicit Cursor(std::span<BYTE> bytes) : rest_(bytes) {}

  bool ok() const { return ok_; }
  bool empty() const { return rest_.empty(); }

  std::uint32_t Number(std::size_t bytes) {
    std::uint32_t value = 0;
    for (const BYTE byte : Take(bytes)) value = value << 8 | byte;
    return value;
  }
  std::span<BYTE> Take(std::size_t bytes) {
    if (bytes > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const std::span<BYTE> taken = rest_.first(bytes);
    rest_ = rest_.subspan(bytes);
    return taken;
  }
  // A vector that begins with a length of `length_bytes`.
  Cursor Vector(std::size_t length_bytes) { return Cursor(Take(Number(length_bytes)), ok_); }

 private:
  Cursor(std::span<BYTE> bytes, bool ok) : rest_(bytes), ok_(ok) {}
  std::span<BYTE> rest_;
  bool ok_ = true;
};

constexpr std::uint32_t kHandshakeRecord = 22;
constexpr std::uint32_t kClientHello = 1;
constexpr std::uint32_t kServerNameExtension = 0;
constexpr std::uint32_t kHostName = 0;

// The extensions of the ClientHello in `record` (RFC 8446 4.1.2).
std::optional<Cursor> ExtensionsOf(std::span<BYTE> record) {
  Cursor cursor(record);
  if (cursor.Number(1) != kHandshakeRecord || cursor.Number(1) != 3) return std::nullopt;
  cursor.Take(1);
  Cursor fragment = cursor.Vector(2);
  if (fragment.Number(1) != kClientHello) return std::nullopt;
  Cursor hello = fragment.Vector(3);
  hello.Take(2 + 32);
  hello.Vector(1);  // session id
  hello.Vector(2);  // cipher suites
  hello.Vector(1);  // compression methods
  Cursor extensions = hello.Vector(2);
  if (!fragment.ok() || !hello.ok() || !extensions.ok()) return std::nullopt;
  return extensions;
}

std::span<BYTE> HostNameIn(Cursor extensions) {
  while (extensions.ok() && !extensions.empty()) {
    const std::uint32_t type = extensions.Number(2);
    Cursor body = extensions.Vector(2);
    if (type != kServerNameExtension || !body.ok()) continue;
    Cursor names = body.Vector(2);
    while (names.ok() && !names.empty()) {
      const bool host = names.Number(1) == kHostName;
      const std::span<BYTE> name = names.Take(names.Number(2));
      if (host && names.ok()) return name;
    }
  }
  return {};
}

}  // namespace

using ktlsim::sspi::Told;

extern "C" {

SECURITY_STATUS SslGetServerIdentity(PBYTE ClientHello, DWORD ClientHelloSize,
                                     PBYTE* ServerIdentity, KtlsimUlongOut ServerIdentitySize,
                                     DWORD Flags) {
  if (ClientHello == nullptr || ServerIdentity == nullptr || !ServerIdentitySize || Flags != 0) {
    return Told(SEC_E_INVALID_PARAMETER);
  }
  const std::optional<Cursor> extensions = ExtensionsOf({ClientHello, ClientHelloSize});
  if (!extensions) {
    // Five bytes of header say how long the record is; the rest can still come.
    const bool cut =
        ClientHelloSize < 5 || (ClientHello[0] == kHandshakeRecord &&
                                ClientHelloSize < 5U + ClientHello[3] * 256U + ClientHello[4]);
    return Told(cut ? SEC_E_INCOMPLETE_MESSAGE : SEC_E_INVALID_TOKEN);
  }
  const std::span<BYTE> name = HostNameIn(*extensions);
  *ServerIdentity = name.empty() ? nullptr : name.data();
  ServerIdentitySize.Store(static_cast<std::uint32_t>(name.size()));
  return Told(SEC_E_OK);
}

}  // extern "C"
