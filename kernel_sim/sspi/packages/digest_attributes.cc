#include "kernel_sim/sspi/packages/digest_attributes.h"

#include <cstdint>
#include <cstring>
#include <string>

#include "kernel_sim/sspi/context_buffer.h"
#include "kernel_sim/sspi/packages/digest_package.h"
#include "kernel_sim/sspi/text.h"

namespace ktlsim::sspi {
namespace {

// The text in memory of the caller's, which releases it; null: no memory.
SEC_CHAR* Narrow(std::string_view text) {
  auto* const copy = static_cast<SEC_CHAR*>(AllocateContextBuffer(text.size() + 1));
  if (copy == nullptr) return nullptr;
  text.copy(copy, text.size());
  copy[text.size()] = '\0';
  return copy;
}

// Names have been looked at when they came; what is not UTF-8 all the same becomes U+FFFD.
std::u16string ToUtf16(std::string_view text) {
  std::u16string units;
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i++]);
    const unsigned more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
    std::uint32_t character = more == 0 ? first : first & (0x3fU >> more);
    unsigned read = 0;
    for (; read < more && i < text.size() && (text[i] & 0xc0) == 0x80; ++read) {
      character = (character << 6) | (static_cast<unsigned char>(text[i++]) & 0x3fU);
    }
    if (read < more || (more == 0 && first >= 0x80) || character > 0x10ffff) character = 0xfffd;
    if (character > 0xffff) {
      character -= 0x10000;
      units.push_back(static_cast<char16_t>(0xd800 + (character >> 10)));
      character = 0xdc00 + (character & 0x3ff);
    }
    units.push_back(static_cast<char16_t>(character));
  }
  return units;
}

SEC_WCHAR* Wide(std::string_view text) {
  const std::u16string units = ToUtf16(text);
  auto* const copy =
      static_cast<SEC_WCHAR*>(AllocateContextBuffer((units.size() + 1) * sizeof(SEC_WCHAR)));
  if (copy == nullptr) return nullptr;
  for (std::size_t i = 0; i < units.size(); ++i) copy[i] = units[i];
  copy[units.size()] = 0;
  return copy;
}

template <typename Char>
Char* Text(std::string_view text);
template <>
SEC_CHAR* Text<SEC_CHAR>(std::string_view text) {
  return Narrow(text);
}
template <>
SEC_WCHAR* Text<SEC_WCHAR>(std::string_view text) {
  return Wide(text);
}

template <typename Names, typename Char>
SECURITY_STATUS FillNames(const DigestAttributes& attributes, void* buffer) {
  Char* const name = Text<Char>(attributes.username);
  if (name == nullptr) return SEC_E_INSUFFICIENT_MEMORY;
  static_cast<Names*>(buffer)->sUserName = name;
  return SEC_E_OK;
}

template <typename Info, typename Char>
SECURITY_STATUS FillKeyInfo(const DigestAttributes& attributes, void* buffer) {
  Char* const signature = Text<Char>(digest::NameOf(attributes.algorithm));
  Char* const cipher = Text<Char>(attributes.cipher);
  if (signature == nullptr || cipher == nullptr) {
    if (signature != nullptr) ReleaseContextBuffer(signature);
    if (cipher != nullptr) ReleaseContextBuffer(cipher);
    return SEC_E_INSUFFICIENT_MEMORY;
  }
  auto& info = *static_cast<Info*>(buffer);
  info.sSignatureAlgorithmName = signature;
  info.sEncryptAlgorithmName = cipher;
  info.KeySize = static_cast<ULONG>(digest::HashBytes(digest::HashOf(attributes.algorithm)) * 8);
  info.SignatureAlgorithm = 0;
  info.EncryptAlgorithm = 0;
  return SEC_E_OK;
}

// One allocation: the row, then its texts.
template <typename Info, typename Char>
Info* PackageRow() {
  const std::size_t units = kDigestInfo.name.size() + kDigestInfo.comment.size() + 2;
  auto* const row = static_cast<Info*>(AllocateContextBuffer(sizeof(Info) + units * sizeof(Char)));
  if (row == nullptr) return nullptr;
  auto* cursor = reinterpret_cast<Char*>(row + 1);
  const auto store = [&cursor](std::string_view text) {
    Char* const start = cursor;
    for (const char c : text) *cursor++ = static_cast<Char>(c);
    *cursor++ = 0;
    return start;
  };
  row->fCapabilities = kDigestInfo.capabilities;
  row->wVersion = 1;
  row->wRPCID = kDigestInfo.rpc_id;
  row->cbMaxToken = kDigestInfo.max_token;
  row->Name = store(kDigestInfo.name);
  row->Comment = store(kDigestInfo.comment);
  return row;
}

template <typename Structure, typename Info, typename Char>
SECURITY_STATUS FillPackageInfo(void* buffer) {
  Info* const row = PackageRow<Info, Char>();
  if (row == nullptr) return SEC_E_INSUFFICIENT_MEMORY;
  static_cast<Structure*>(buffer)->PackageInfo = row;
  return SEC_E_OK;
}

SECURITY_STATUS FillSessionKey(const DigestAttributes& attributes, void* buffer) {
  if (attributes.session_hash == nullptr) return SEC_E_NO_AUTHENTICATING_AUTHORITY;
  const digest::Bytes key = attributes.session_hash->bytes();
  auto* const copy = static_cast<UCHAR*>(AllocateContextBuffer(key.size()));
  if (copy == nullptr) return SEC_E_INSUFFICIENT_MEMORY;
  std::memcpy(copy, key.data(), key.size());
  *static_cast<SecPkgContext_SessionKey*>(buffer) = {static_cast<ULONG>(key.size()), copy};
  return SEC_E_OK;
}

SECURITY_STATUS FillTarget(const DigestAttributes& attributes, void* buffer) {
  if (attributes.target.empty()) return SEC_E_UNSUPPORTED_FUNCTION;
  SEC_WCHAR* const name = Wide(attributes.target);
  if (name == nullptr) return SEC_E_INSUFFICIENT_MEMORY;
  static_cast<SecPkgContext_ClientSpecifiedTarget*>(buffer)->sTargetName = name;
  return SEC_E_OK;
}

void FillLifespan(const DigestAttributes& attributes, void* buffer) {
  auto& lifespan = *static_cast<SecPkgContext_Lifespan*>(buffer);
  lifespan.tsStart.QuadPart = ToTimeStamp(attributes.since);
  lifespan.tsExpiry.QuadPart = kNoExpiry;
}

}  // namespace

SECURITY_STATUS QueryDigest(const DigestAttributes& attributes, const AttributeQuery& query) {
  void* const buffer = query.buffer;
  switch (query.attribute) {
    case SECPKG_ATTR_SIZES:
      *static_cast<SecPkgContext_Sizes*>(buffer) = attributes.sizes;
      return SEC_E_OK;
    case SECPKG_ATTR_NAMES:
      return query.wide ? FillNames<SecPkgContext_NamesW, SEC_WCHAR>(attributes, buffer)
                        : FillNames<SecPkgContext_NamesA, SEC_CHAR>(attributes, buffer);
    case SECPKG_ATTR_LIFESPAN:
      FillLifespan(attributes, buffer);
      return SEC_E_OK;
    case SECPKG_ATTR_KEY_INFO:
      return query.wide ? FillKeyInfo<SecPkgContext_KeyInfoW, SEC_WCHAR>(attributes, buffer)
                        : FillKeyInfo<SecPkgContext_KeyInfoA, SEC_CHAR>(attributes, buffer);
    case SECPKG_ATTR_SESSION_KEY:
      return FillSessionKey(attributes, buffer);
    case SECPKG_ATTR_PACKAGE_INFO:
      return query.wide
                 ? FillPackageInfo<SecPkgContext_PackageInfoW, SecPkgInfoW, SEC_WCHAR>(buffer)
                 : FillPackageInfo<SecPkgContext_PackageInfoA, SecPkgInfoA, SEC_CHAR>(buffer);
    case SECPKG_ATTR_FLAGS:
      static_cast<SecPkgContext_Flags*>(buffer)->Flags = attributes.flags;
      return SEC_E_OK;
    case SECPKG_ATTR_CLIENT_SPECIFIED_TARGET:
      return FillTarget(attributes, buffer);
    default:
      return SEC_E_UNSUPPORTED_FUNCTION;
  }
}

ULONG DigestAttributeBytes(ULONG attribute) {
  switch (attribute) {
    case SECPKG_ATTR_SIZES:
      return sizeof(SecPkgContext_Sizes);
    case SECPKG_ATTR_NAMES:
      return sizeof(SecPkgContext_NamesA);
    case SECPKG_ATTR_LIFESPAN:
      return sizeof(SecPkgContext_Lifespan);
    case SECPKG_ATTR_KEY_INFO:
      return sizeof(SecPkgContext_KeyInfoA);
    case SECPKG_ATTR_SESSION_KEY:
      return sizeof(SecPkgContext_SessionKey);
    case SECPKG_ATTR_PACKAGE_INFO:
      return sizeof(SecPkgContext_PackageInfoA);
    case SECPKG_ATTR_FLAGS:
      return sizeof(SecPkgContext_Flags);
    case SECPKG_ATTR_CLIENT_SPECIFIED_TARGET:
      return sizeof(SecPkgContext_ClientSpecifiedTarget);
    default:
      return 0;
  }
}

ULONG DigestPackage::ContextAttributeBytes(ULONG attribute) const {
  return DigestAttributeBytes(attribute);
}

}  // namespace ktlsim::sspi
