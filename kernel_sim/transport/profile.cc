#include "kernel_sim/transport/profile.h"

#include <cstddef>
#include <cstring>
#include <utility>

namespace ktlsim::transport {
namespace {

void Append(std::vector<std::byte>& buffer, const void* bytes, std::size_t size) {
  const auto* first = static_cast<const std::byte*>(bytes);
  buffer.insert(buffer.end(), first, first + size);
}

// One list: its kind, its length and the names as on the wire (RFC 7301 3.1), all unpadded.
Result<std::vector<std::byte>> EncodeAlpn(const std::vector<std::string>& names) {
  std::vector<std::byte> wire;
  for (const std::string& name : names) {
    if (name.empty() || name.size() > MAX_PROTOCOL_ID_SIZE) {
      return Status(Category::kContract, 0, "an ALPN name has 1 to 255 bytes");
    }
    wire.push_back(static_cast<std::byte>(name.size()));
    Append(wire, name.data(), name.size());
  }
  std::vector<std::byte> buffer;
  if (wire.empty()) return buffer;
  if (wire.size() > 0xFFFF) return Status(Category::kContract, 0, "too many ALPN names");
  constexpr std::size_t kListHeader = offsetof(SEC_APPLICATION_PROTOCOL_LIST, ProtocolList);
  const auto lists_size = static_cast<ULONG>(kListHeader + wire.size());
  const ULONG extension = SecApplicationProtocolNegotiationExt_ALPN;
  const auto list_size = static_cast<USHORT>(wire.size());
  Append(buffer, &lists_size, sizeof(lists_size));
  Append(buffer, &extension, sizeof(extension));
  Append(buffer, &list_size, sizeof(list_size));
  Append(buffer, wire.data(), wire.size());
  return buffer;
}

// Below that a record is mostly header and tag.
constexpr std::uint32_t kRecordBytesMin = 64;
constexpr std::uint32_t kRecordBytesMax = 16384;

bool IsRecordSize(std::uint32_t bytes) {
  return bytes >= kRecordBytesMin && bytes <= kRecordBytesMax;
}

}  // namespace

Result<TlsProfile> TlsProfile::Create(Side side, TlsOptions options) {
  Result<std::vector<std::byte>> alpn = EncodeAlpn(options.alpn);
  if (!alpn) return alpn.status();
  const RecordSizing& sizing = options.record_sizing;
  if (!IsRecordSize(sizing.bytes_max) || !IsRecordSize(sizing.first_bytes_max)) {
    return Status(Category::kContract, 0, "a record carries 64 to 16384 bytes");
  }
  if (options.records_between_key_checks == 0) {
    return Status(Category::kContract, 0, "a key check needs at least one record in between");
  }
  if (options.credential_source != nullptr && side != Side::kServer) {
    return Status(Category::kContract, 0, "a client's credential comes from no source");
  }
  if (options.flags == 0) options.flags = side == Side::kServer ? kServerFlags : kClientFlags;
  TlsProfile profile(side, std::move(options));
  profile.alpn_buffer_ = std::move(*alpn);
  return profile;
}

}  // namespace ktlsim::transport
