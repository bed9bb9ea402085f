// Which packages there are: enumeration, and the query by name.

#include <sspi.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "kernel_sim/base/characters.h"
#include "kernel_sim/sspi/border.h"
#include "kernel_sim/sspi/context_buffer.h"
#include "kernel_sim/sspi/kernel_mode.h"
#include "kernel_sim/sspi/last_error.h"
#include "kernel_sim/sspi/packages/package.h"
#include "kernel_sim/sspi/runtime.h"
#include "kernel_sim/sspi/text.h"

namespace ktlsim::sspi {
namespace {

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
Info* Describe(std::span<const PackageInfo> entries) {
  std::size_t units = 0;
  for (const PackageInfo& entry : entries) units += entry.name.size() + entry.comment.size() + 2;
  auto* infos = static_cast<Info*>(
      AllocateContextBuffer(entries.size() * sizeof(Info) + units * sizeof(CharOf<Info>)));
  if (infos == nullptr) return nullptr;
  auto* cursor = reinterpret_cast<CharOf<Info>*>(infos + entries.size());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    infos[i].fCapabilities = entries[i].capabilities;
    infos[i].wVersion = 1;
    infos[i].wRPCID = entries[i].rpc_id;
    infos[i].cbMaxToken = entries[i].max_token;
    infos[i].Name = StoreText(cursor, entries[i].name);
    infos[i].Comment = StoreText(cursor, entries[i].comment);
  }
  return infos;
}

std::vector<PackageInfo> AllInfos() {
  std::vector<PackageInfo> all;
  for (const Package* package : Runtime::Instance().Packages()) {
    const std::span<const PackageInfo> infos = package->Infos();
    all.insert(all.end(), infos.begin(), infos.end());
  }
  return all;
}

template <typename Info>
SECURITY_STATUS Enumerate(KtlsimUlongOut count, Info** out) {
  if (!count || out == nullptr) return SEC_E_INVALID_PARAMETER;
  return NothingThrown([&] {
    const std::vector<PackageInfo> all = AllInfos();
    Info* infos = Describe<Info>(all);
    if (infos == nullptr) return SEC_E_INSUFFICIENT_MEMORY;
    *out = infos;
    count.Store(static_cast<std::uint32_t>(all.size()));
    return SEC_E_OK;
  });
}

template <typename Info, typename String>
SECURITY_STATUS Find(String wanted, Info** out) {
  if (out == nullptr) return SEC_E_INVALID_PARAMETER;
  return NothingThrown([&] {
    const std::optional<std::string> name = ReadName(wanted);
    if (!name) return SEC_E_SECPKG_NOT_FOUND;
    for (const PackageInfo& entry : AllInfos()) {
      if (!EqualsIgnoringCase(entry.name, *name)) continue;
      *out = Describe<Info>({&entry, 1});
      return *out != nullptr ? SEC_E_OK : SEC_E_INSUFFICIENT_MEMORY;
    }
    return SEC_E_SECPKG_NOT_FOUND;
  });
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
