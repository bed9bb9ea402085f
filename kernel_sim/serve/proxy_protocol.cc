#include "kernel_sim/serve/proxy_protocol.h"

#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include "kernel_sim/base/assert.h"

namespace ktlsim::serve {
namespace {

constexpr std::array<std::uint8_t, 12> kSignature = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                                     0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
constexpr std::uint8_t kVersion2Proxy = 0x21;
constexpr std::uint8_t kTcpOver4 = 0x11;
constexpr std::uint8_t kTcpOver6 = 0x21;
constexpr std::uint8_t kStreamOverUnix = 0x31;
constexpr std::uint8_t kUnspecified = 0x00;
constexpr std::size_t kUnixAddressBytes = 108;

constexpr std::uint8_t kTypeAlpn = 0x01;
constexpr std::uint8_t kTypeAuthority = 0x02;
constexpr std::uint8_t kTypeSsl = 0x20;
constexpr std::uint8_t kSubtypeSslVersion = 0x21;
constexpr std::uint8_t kSubtypeSslCipher = 0x23;
constexpr std::uint8_t kClientSsl = 0x01;
constexpr std::uint8_t kClientCertConn = 0x02;  // shown on this connection
constexpr std::uint8_t kClientCertSess = 0x04;  // shown on this session

constexpr std::size_t kTextBytesMax = 255;

class Writer {
 public:
  explicit Writer(std::span<std::byte> out) : out_(out) {}

  std::size_t size() const { return size_; }
  void Byte(unsigned value) { out_[size_++] = static_cast<std::byte>(value); }
  void Bytes(const void* bytes, std::size_t count) {
    KTLSIM_ASSERT(count <= out_.size() - size_);
    std::memcpy(out_.data() + size_, bytes, count);
    size_ += count;
  }
  // A length that is known only later: the bytes written since.
  std::size_t BeginLength() {
    size_ += 2;
    return size_;
  }
  void EndLength(std::size_t begin) {
    const std::size_t length = size_ - begin;
    out_[begin - 2] = static_cast<std::byte>(length >> 8);
    out_[begin - 1] = static_cast<std::byte>(length & 0xff);
  }
  void Text(std::uint8_t type, std::string_view text) {
    if (text.empty() || text.size() > kTextBytesMax) return;
    Byte(type);
    const std::size_t length = BeginLength();
    Bytes(text.data(), text.size());
    EndLength(length);
  }

 private:
  const std::span<std::byte> out_;
  std::size_t size_ = 0;
};

// 0: there is none.
std::uint8_t FamilyOf(const ProxyFacts& facts) {
  if (facts.source.family() != facts.destination.family()) return kUnspecified;
  switch (facts.source.family()) {
    case AF_INET:
      return kTcpOver4;
    case AF_INET6:
      return kTcpOver6;
    case AF_UNIX:
      return kStreamOverUnix;
    default:
      return kUnspecified;
  }
}

// sun_path as it is: an abstract name begins with a NUL, and a socket without a name is all NUL.
void WriteUnix(const io::Address& address, Writer& writer) {
  std::array<char, kUnixAddressBytes> path{};
  constexpr std::size_t kPathAt = offsetof(sockaddr_un, sun_path);
  if (address.size() > kPathAt) {
    const auto* name = reinterpret_cast<const sockaddr_un*>(address.data());
    std::memcpy(path.data(), name->sun_path,
                std::min<std::size_t>(address.size() - kPathAt, path.size()));
  }
  writer.Bytes(path.data(), path.size());
}

void WriteAddresses(const ProxyFacts& facts, Writer& writer) {
  if (facts.source.family() == AF_INET) {
    const auto* source = reinterpret_cast<const sockaddr_in*>(facts.source.data());
    const auto* destination = reinterpret_cast<const sockaddr_in*>(facts.destination.data());
    writer.Bytes(&source->sin_addr, 4);
    writer.Bytes(&destination->sin_addr, 4);
    writer.Bytes(&source->sin_port, 2);
    writer.Bytes(&destination->sin_port, 2);
  } else if (facts.source.is_unix()) {
    WriteUnix(facts.source, writer);
    WriteUnix(facts.destination, writer);
  } else {
    const auto* source = reinterpret_cast<const sockaddr_in6*>(facts.source.data());
    const auto* destination = reinterpret_cast<const sockaddr_in6*>(facts.destination.data());
    writer.Bytes(&source->sin6_addr, 16);
    writer.Bytes(&destination->sin6_addr, 16);
    writer.Bytes(&source->sin6_port, 2);
    writer.Bytes(&destination->sin6_port, 2);
  }
}

void WriteSsl(const ProxyFacts& facts, Writer& writer) {
  writer.Byte(kTypeSsl);
  const std::size_t length = writer.BeginLength();
  unsigned client = kClientSsl;
  if (facts.client_certificate) client |= kClientCertSess;
  if (facts.client_certificate && !facts.resumed) client |= kClientCertConn;
  writer.Byte(client);
  // `verify` is 0 only for a certificate that was presented and verified.
  const bool verified = facts.client_certificate && facts.certificate_verified;
  const std::array<std::uint8_t, 4> verify = {0, 0, 0, static_cast<std::uint8_t>(!verified)};
  writer.Bytes(verify.data(), verify.size());
  writer.Text(kSubtypeSslVersion, facts.tls_version);
  writer.Text(kSubtypeSslCipher, facts.cipher_name);
  writer.EndLength(length);
}

}  // namespace

std::size_t FormatProxyHeader(const ProxyFacts& facts,
                              std::span<std::byte, kProxyHeaderBytesMax> out) {
  Writer writer(out);
  writer.Bytes(kSignature.data(), kSignature.size());
  writer.Byte(kVersion2Proxy);
  const std::uint8_t family = FamilyOf(facts);
  writer.Byte(family);
  const std::size_t length = writer.BeginLength();
  if (family != kUnspecified) WriteAddresses(facts, writer);
  writer.Text(kTypeAlpn, facts.alpn);
  writer.Text(kTypeAuthority, facts.server_name);
  WriteSsl(facts, writer);
  writer.EndLength(length);
  return writer.size();
}

}  // namespace ktlsim::serve
