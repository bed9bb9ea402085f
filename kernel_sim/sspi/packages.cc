// Which packages there are, and the two function tables.

#include <schannel.h>
#include <sspi.h>

#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "kernel_sim/sspi/border.h"
#include "kernel_sim/sspi/context_buffer.h"
#include "kernel_sim/sspi/kernel_mode.h"
#include "kernel_sim/sspi/last_error.h"
#include "kernel_sim/sspi/text.h"

namespace ktlsim::sspi {
namespace {

struct PackageEntry {
  std::string_view name;
  std::string_view comment;
  ULONG capabilities;
  USHORT rpc_id;
  ULONG max_token;
};

// The values that Windows returns: conformance tests of other implementations recorded them.
constexpr ULONG kSchannelCapabilities =
    SECPKG_FLAG_INTEGRITY | SECPKG_FLAG_PRIVACY | SECPKG_FLAG_CONNECTION |
    SECPKG_FLAG_MULTI_REQUIRED | SECPKG_FLAG_EXTENDED_ERROR | SECPKG_FLAG_IMPERSONATION |
    SECPKG_FLAG_ACCEPT_WIN32_NAME | SECPKG_FLAG_STREAM | SECPKG_FLAG_MUTUAL_AUTH |
    SECPKG_FLAG_APPCONTAINER_PASSTHROUGH;
static_assert(kSchannelCapabilities == 0x004107B3);

constexpr PackageEntry kEntries[] = {
    {"Microsoft Unified Security Protocol Provider", "Schannel Security Package",
     kSchannelCapabilities, UNISP_RPC_ID, 24576},
    {"Schannel", "Schannel Security Package", kSchannelCapabilities, UNISP_RPC_ID, 24576},
};
constexpr std::size_t kEntryCount = std::size(kEntries);

template <typename Info>
using CharOf = std::remove_pointer_t<decltype(Info::Name)>;

template <typename Char>
Char* StoreText(Char*& cursor, std::string_view text) {
  Char* start = cursor;
  for (const char c : text) *cursor++ = static_cast<Char>(c);
  *cursor++ = 0;
  return start;
}

// One allocation: the array, then every string.
template <typename Info>
Info* Describe(const PackageEntry* entries, std::size_t count) {
  std::size_t units = 0;
  for (std::size_t i = 0; i < count; ++i) {
    units += entries[i].name.size() + entries[i].comment.size() + 2;
  }
  auto* infos = static_cast<Info*>(
      AllocateContextBuffer(count * sizeof(Info) + units * sizeof(CharOf<Info>)));
  if (infos == nullptr) return nullptr;
  auto* cursor = reinterpret_cast<CharOf<Info>*>(infos + count);
  for (std::size_t i = 0; i < count; ++i) {
    infos[i].fCapabilities = entries[i].capabilities;
    infos[i].wVersion = 1;
    infos[i].wRPCID = entries[i].rpc_id;
    infos[i].cbMaxToken = entries[i].max_token;
    infos[i].Name = StoreText(cursor, entries[i].name);
    infos[i].Comment = StoreText(cursor, entries[i].comment);
  }
  return infos;
}

template <typename Info>
SECURITY_STATUS Enumerate(KtlsimUlongOut count, Info** out) {
  if (!count || out == nullptr) return SEC_E_INVALID_PARAMETER;
  Info* infos = Describe<Info>(kEntries, kEntryCount);
  if (infos == nullptr) return SEC_E_INSUFFICIENT_MEMORY;
  *out = infos;
  count.Store(kEntryCount);
  return SEC_E_OK;
}

template <typename Info, typename String>
SECURITY_STATUS Find(String wanted, Info** out) {
  if (out == nullptr) return SEC_E_INVALID_PARAMETER;
  std::optional<std::string> name;
  const SECURITY_STATUS read = NothingThrown([&] {
    name = ReadName(wanted);
    return name ? SEC_E_OK : SEC_E_SECPKG_NOT_FOUND;
  });
  if (read != SEC_E_OK) return read;
  for (const PackageEntry& entry : kEntries) {
    if (entry.name.size() != name->size() ||
        strncasecmp(entry.name.data(), name->data(), name->size()) != 0) {
      continue;
    }
    *out = Describe<Info>(&entry, 1);
    return *out != nullptr ? SEC_E_OK : SEC_E_INSUFFICIENT_MEMORY;
  }
  return SEC_E_SECPKG_NOT_FOUND;
}

}  // namespace
}  // namespace ktlsim::sspi

using namespace ktlsim::sspi;  // NOLINT: the C API below is this file's whole point

extern "C" {

SECURITY_STATUS EnumerateSecurityPackagesA(KtlsimUlongOut pcPackages, PSecPkgInfoA* ppPackageInfo) {
  return Told(Enumerate(pcPackages, ppPackageInfo));
}
SECURITY_STATUS EnumerateSecurityPackagesW(KtlsimUlongOut pcPackages, PSecPkgInfoW* ppPackageInfo) {
  return Told(Enumerate(pcPackages, ppPackageInfo));
}
SECURITY_STATUS QuerySecurityPackageInfoA(LPSTR pszPackageName, PSecPkgInfoA* ppPackageInfo) {
  return Told(Find<SecPkgInfoA, const char*>(pszPackageName, ppPackageInfo));
}
SECURITY_STATUS QuerySecurityPackageInfoW(LPWSTR pszPackageName, PSecPkgInfoW* ppPackageInfo) {
  return Told(Find<SecPkgInfoW, const SEC_WCHAR*>(pszPackageName, ppPackageInfo));
}

SECURITY_STATUS Ktlsim_k_QuerySecurityPackageInfoW(PSECURITY_STRING name, PSecPkgInfoW* info) {
  if (name == nullptr) return Told(SEC_E_SECPKG_NOT_FOUND);
  return Told(Find<SecPkgInfoW, const SECURITY_STRING*>(name, info));
}

}  // extern "C"
