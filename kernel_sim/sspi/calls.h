// The operations as requests: what is captured at submit, and what runs on a processor.
//
// Asynchronous and synchronous functions share these; they differ only in whether the caller waits.
// Each Prepare function checks arguments, resolves handles to references, copies strings, and fills
// `request`. Its result is a submission status: anything but SEC_E_OK means that nothing was queued
// and nothing changed. Any level.
#pragma once

#include <sspi.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "kernel_sim/executive/request.h"
#include "kernel_sim/sspi/packages/package.h"
#include "kernel_sim/sspi/text.h"

namespace ktlsim::sspi {

struct AcquireParameters {
  std::string principal{};
  std::string package{};
  ULONG use = 0;
  void* auth_data = nullptr;
  PCredHandle credential = nullptr;
  PTimeStamp expiry = nullptr;
  bool kernel_mode = false;  // called by an asynchronous function of kernel mode

  // From the caller's strings of any kind. SEC_E_OK; SEC_E_SECPKG_NOT_FOUND: no package has a name
  // that is too long; SEC_E_INVALID_PARAMETER: the principal's is.
  template <typename String>
  SECURITY_STATUS SetNames(String principal_name, String package_name) {
    std::optional<std::string> read = ReadName(package_name);
    if (!read) return SEC_E_SECPKG_NOT_FOUND;
    package = *std::move(read);
    read = ReadName(principal_name);
    if (!read) return SEC_E_INVALID_PARAMETER;
    principal = *std::move(read);
    return SEC_E_OK;
  }
};
SECURITY_STATUS PrepareAcquire(executive::Request& request, AcquireParameters parameters);
// The package may have to wait (Package::AcquireMayWait): the call must be a request.
bool AcquireMayWait(const AcquireParameters& parameters);
// Otherwise: the same, at once on the calling thread. Passive level.
SECURITY_STATUS AcquireNow(const AcquireParameters& parameters);

struct LegParameters {
  Direction direction = Direction::kOutbound;
  PCredHandle credential = nullptr;
  PCtxtHandle context = nullptr;
  std::string target_name{};
  ULONG flags = 0;
  PSecBufferDesc input = nullptr;
  PCtxtHandle new_context = nullptr;
  PSecBufferDesc output = nullptr;
  KtlsimUlongOut attributes = nullptr;
  PTimeStamp expiry = nullptr;
  bool kernel_mode = false;  // called by an asynchronous function of kernel mode

  // False: it is too long.
  template <typename String>
  bool SetTargetName(String name) {
    std::optional<std::string> read = ReadName(name);
    if (!read) return false;
    target_name = *std::move(read);
    return true;
  }
};
SECURITY_STATUS PrepareLeg(executive::Request& request, LegParameters parameters);

// The handle dies here, at submission. `may_suspend`: the outcome may wait for something.
SECURITY_STATUS PrepareDelete(executive::Request& request, const SecHandle* context,
                              bool may_suspend);
SECURITY_STATUS PrepareFreeCredentials(executive::Request& request, const SecHandle* credential);

SECURITY_STATUS PrepareEncrypt(executive::Request& request, const SecHandle* context, ULONG qop,
                               PSecBufferDesc message, ULONG sequence);
SECURITY_STATUS PrepareDecrypt(executive::Request& request, const SecHandle* context,
                               PSecBufferDesc message, ULONG sequence, KtlsimUlongOut qop);

// ApplyControlToken and CompleteAuthToken.
enum class ControlKind : std::uint8_t { kApplyControlToken, kCompleteAuthToken };
SECURITY_STATUS PrepareControl(executive::Request& request, const SecHandle* context,
                               ControlKind kind, PSecBufferDesc token);
SECURITY_STATUS PrepareVerify(executive::Request& request, const SecHandle* context,
                              PSecBufferDesc message, ULONG sequence, KtlsimUlongOut qop);

}  // namespace ktlsim::sspi
