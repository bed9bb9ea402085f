// SIDs: the functions of the C API that make, compare, copy and read them; and the memory that the
// access functions give.

#include <ktlsim/security.h>

#include "kernel_sim/authorization/caller.h"
#include "kernel_sim/authorization/caller_text.h"
#include "kernel_sim/authorization/local_memory.h"
#include "kernel_sim/security/sid_name.h"
#include "kernel_sim/security/well_known_sids.h"

namespace ktlsim::authorization {
namespace {

using security::Fault;
using security::Sid;

void WriteSidHead(std::size_t sub_authorities, const SID_IDENTIFIER_AUTHORITY& authority,
                  void* sid) {
  StoreTo(sid, std::array<BYTE, 2>{SID_REVISION, static_cast<BYTE>(sub_authorities)});
  StoreTo(static_cast<std::byte*>(sid) + offsetof(SID, IdentifierAuthority), authority);
}

Fault InitializeOne(PSID sid, PSID_IDENTIFIER_AUTHORITY authority, BYTE count) {
  if (sid == nullptr || authority == nullptr) return Fault::kNoAccess;
  if (count > SID_MAX_SUB_AUTHORITIES) return Fault::kInvalidParameter;
  WriteSidHead(count, LoadFrom<SID_IDENTIFIER_AUTHORITY>(authority), sid);
  return Fault::kNone;
}

Fault AllocateSid(PSID_IDENTIFIER_AUTHORITY authority, BYTE count,
                  const std::array<DWORD, 8>& numbers, PSID* out) {
  if (authority == nullptr || out == nullptr) return Fault::kNoAccess;
  if (count > numbers.size()) return Fault::kInvalidSid;
  void* const sid = AllocateLocal(security::SidBytes(count), LocalUse::kFreeSid);
  if (sid == nullptr) return Fault::kNoMemory;
  WriteSidHead(count, LoadFrom<SID_IDENTIFIER_AUTHORITY>(authority), sid);
  std::memcpy(static_cast<std::byte*>(sid) + security::SidBytes(0), numbers.data(),
              count * sizeof(DWORD));
  StoreTo(static_cast<void*>(out), sid);
  return Fault::kNone;
}

// A question about SIDs that is answered with a BOOL: FALSE with ERROR_SUCCESS is "no".
template <typename Question>
BOOL Answer(const Question& question) noexcept {
  bool yes = false;
  const BOOL asked = TellCaller([&] { return question(&yes); });
  if (asked == TRUE && !yes) ktlsim::SetLastError(ERROR_SUCCESS);
  return yes ? TRUE : FALSE;
}

struct TwoSids {
  Sid first;
  Sid second;

  Fault Capture(PSID a, PSID b) {
    const Fault fault = CaptureSid(a, &first);
    return fault != Fault::kNone ? fault : CaptureSid(b, &second);
  }
};

// *same has no value: one of them is of no domain.
Fault AreInOneDomain(const std::array<PSID, 2>& of, BOOL* equal, std::optional<bool>* same) {
  if (equal == nullptr) return Fault::kNoAccess;
  TwoSids sids;
  if (const Fault fault = sids.Capture(of[0], of[1]); fault != Fault::kNone) return fault;
  *same = security::InSameDomain(sids.first, sids.second);
  if (*same) StoreTo<BOOL>(equal, **same ? TRUE : FALSE);
  return Fault::kNone;
}

Fault Copy(DWORD room, PSID to, PSID from) {
  Sid sid;
  if (const Fault fault = CaptureSid(from, &sid); fault != Fault::kNone) return fault;
  const auto image = sid.view().image();
  if (room < image.size()) return Fault::kInsufficientBuffer;
  if (to == nullptr) return Fault::kNoAccess;
  std::memcpy(to, image.data(), image.size());
  return Fault::kNone;
}

// A SID into a caller's buffer of `*bytes`, which becomes what it needs.
Fault StoreSid(const Sid& sid, PSID to, DWORD* bytes) {
  const auto image = sid.view().image();
  const bool fits = LoadFrom<DWORD>(bytes) >= image.size();
  if (fits && to == nullptr) return Fault::kInvalidParameter;
  StoreTo(bytes, static_cast<DWORD>(image.size()));
  if (!fits) return Fault::kInsufficientBuffer;
  std::memcpy(to, image.data(), image.size());
  return Fault::kNone;
}

Fault CreateWellKnown(WELL_KNOWN_SID_TYPE type, PSID domain, PSID to, DWORD* bytes) {
  if (bytes == nullptr) return Fault::kNoAccess;
  Sid of_domain;
  const Fault no_domain = CaptureSid(domain, &of_domain);
  const auto given = no_domain == Fault::kNone ? std::optional(of_domain.view()) : std::nullopt;
  Sid sid;
  const Fault fault = security::MakeWellKnownSid(static_cast<std::uint32_t>(type), given, &sid);
  // What is missing may be there, and be no SID.
  if (fault == Fault::kInvalidParameter && domain != nullptr && !given) return Fault::kInvalidSid;
  return fault != Fault::kNone ? fault : StoreSid(sid, to, bytes);
}

Fault DomainOf(PSID of, PSID to, DWORD* bytes) {
  if (bytes == nullptr) return Fault::kInvalidParameter;
  Sid sid;
  if (const Fault fault = CaptureSid(of, &sid); fault != Fault::kNone) return fault;
  const std::optional<Sid> domain = security::AccountDomainOf(sid);
  return domain ? StoreSid(*domain, to, bytes) : Fault::kInvalidSid;
}

template <typename Unit>
Fault SidToText(PSID from, Unit** out) {
  if (out == nullptr) return Fault::kInvalidParameter;
  Sid sid;
  if (const Fault fault = CaptureSid(from, &sid); fault != Fault::kNone) return fault;
  std::size_t units = 0;
  return GiveText(security::SidText(sid).view(), out, &units);
}

template <typename Unit>
Fault TextToSid(const Unit* from, PSID* out) {
  if (from == nullptr || out == nullptr) return Fault::kInvalidParameter;
  std::string text;
  Fault fault = ReadText(from, &text);
  if (fault != Fault::kNone) return fault;
  Sid sid;
  fault = security::ParseSidOrName(text, std::nullopt, &sid);
  if (fault != Fault::kNone) return fault;
  const auto image = sid.view().image();
  void* const block = AllocateLocal(image.size());
  if (block == nullptr) return Fault::kNoMemory;
  std::memcpy(block, image.data(), image.size());
  StoreTo(static_cast<void*>(out), block);
  return Fault::kNone;
}

// Null, and the last error: `sid` is null.
std::byte* BytesOfSid(PSID sid) {
  if (sid == nullptr) ktlsim::SetLastError(ERROR_INVALID_SID);
  return static_cast<std::byte*>(sid);
}

}  // namespace
}  // namespace ktlsim::authorization

using namespace ktlsim;                 // NOLINT: the C API below is this file's whole point
using namespace ktlsim::authorization;  // NOLINT

extern "C" {

HLOCAL KtlsimLocalAlloc(UINT uFlags, SIZE_T uBytes) {
  void* block = nullptr;
  TellCaller([&] {
    if ((uFlags & ~UINT{LMEM_ZEROINIT}) != 0) return security::Fault::kInvalidParameter;
    block = AllocateLocal(uBytes);
    return block != nullptr ? security::Fault::kNone : security::Fault::kNoMemory;
  });
  return block;
}
HLOCAL LocalAlloc(UINT uFlags, SIZE_T uBytes) { return KtlsimLocalAlloc(uFlags, uBytes); }

HLOCAL KtlsimLocalFree(HLOCAL hMem) {
  if (hMem == nullptr || FreeLocal(hMem)) return nullptr;
  ktlsim::SetLastError(ERROR_INVALID_HANDLE);
  return hMem;
}
HLOCAL LocalFree(HLOCAL hMem) { return KtlsimLocalFree(hMem); }

BOOL AllocateAndInitializeSid(PSID_IDENTIFIER_AUTHORITY pIdentifierAuthority,
                              BYTE nSubAuthorityCount, DWORD nSubAuthority0, DWORD nSubAuthority1,
                              DWORD nSubAuthority2, DWORD nSubAuthority3, DWORD nSubAuthority4,
                              DWORD nSubAuthority5, DWORD nSubAuthority6, DWORD nSubAuthority7,
                              PSID* pSid) {
  return TellCaller([&] {
    return AllocateSid(pIdentifierAuthority, nSubAuthorityCount,
                       {nSubAuthority0, nSubAuthority1, nSubAuthority2, nSubAuthority3,
                        nSubAuthority4, nSubAuthority5, nSubAuthority6, nSubAuthority7},
                       pSid);
  });
}

PVOID FreeSid(PSID pSid) {
  if (pSid != nullptr) FreeLocal(pSid, LocalUse::kFreeSid);
  return nullptr;
}

BOOL InitializeSid(PSID Sid, PSID_IDENTIFIER_AUTHORITY pIdentifierAuthority,
                   BYTE nSubAuthorityCount) {
  return TellCaller([&] { return InitializeOne(Sid, pIdentifierAuthority, nSubAuthorityCount); });
}

PDWORD GetSidSubAuthority(PSID pSid, DWORD nSubAuthority) {
  std::byte* const sid = BytesOfSid(pSid);
  if (sid == nullptr) return nullptr;
  if (nSubAuthority >= static_cast<DWORD>(sid[1]) || nSubAuthority >= SID_MAX_SUB_AUTHORITIES) {
    ktlsim::SetLastError(ERROR_INVALID_SID);
    return nullptr;
  }
  return reinterpret_cast<PDWORD>(sid + security::SidBytes(nSubAuthority));
}

PUCHAR GetSidSubAuthorityCount(PSID pSid) {
  std::byte* const sid = BytesOfSid(pSid);
  return sid == nullptr ? nullptr : reinterpret_cast<PUCHAR>(sid + 1);
}

PSID_IDENTIFIER_AUTHORITY GetSidIdentifierAuthority(PSID pSid) {
  std::byte* const sid = BytesOfSid(pSid);
  if (sid == nullptr) return nullptr;
  return reinterpret_cast<PSID_IDENTIFIER_AUTHORITY>(sid + offsetof(SID, IdentifierAuthority));
}

DWORD GetSidLengthRequired(UCHAR nSubAuthorityCount) {
  return static_cast<DWORD>(security::SidBytes(nSubAuthorityCount));
}

DWORD GetLengthSid(PSID pSid) {
  DWORD bytes = 0;
  TellCaller([&] {
    security::Sid sid;
    const security::Fault fault = CaptureSid(pSid, &sid);
    if (fault == security::Fault::kNone) bytes = static_cast<DWORD>(sid.view().bytes());
    return fault;
  });
  return bytes;
}

BOOL IsValidSid(PSID pSid) {
  security::Sid sid;
  return CaptureSid(pSid, &sid) == security::Fault::kNone ? TRUE : FALSE;
}

BOOL EqualSid(PSID pSid1, PSID pSid2) {
  return Answer([&](bool* yes) {
    TwoSids sids;
    const security::Fault fault = sids.Capture(pSid1, pSid2);
    *yes = fault == security::Fault::kNone && sids.first == sids.second;
    return fault;
  });
}

BOOL EqualPrefixSid(PSID pSid1, PSID pSid2) {
  return Answer([&](bool* yes) {
    TwoSids sids;
    const security::Fault fault = sids.Capture(pSid1, pSid2);
    *yes = fault == security::Fault::kNone && security::EqualPrefix(sids.first, sids.second);
    return fault;
  });
}

BOOL EqualDomainSid(PSID pSid1, PSID pSid2, BOOL* pfEqual) {
  std::optional<bool> same;
  const BOOL valid = TellCaller([&] { return AreInOneDomain({pSid1, pSid2}, pfEqual, &same); });
  if (valid == TRUE && !same) ktlsim::SetLastError(ERROR_NON_DOMAIN_SID);
  return same ? TRUE : FALSE;
}

BOOL CopySid(DWORD nDestinationSidLength, PSID pDestinationSid, PSID pSourceSid) {
  return TellCaller([&] { return Copy(nDestinationSidLength, pDestinationSid, pSourceSid); });
}

BOOL IsWellKnownSid(PSID pSid, WELL_KNOWN_SID_TYPE WellKnownSidType) {
  return Answer([&](bool* yes) {
    security::Sid sid;
    const security::Fault fault = CaptureSid(pSid, &sid);
    *yes = fault == security::Fault::kNone &&
           security::IsWellKnownSid(sid, static_cast<std::uint32_t>(WellKnownSidType));
    return fault;
  });
}

BOOL CreateWellKnownSid(WELL_KNOWN_SID_TYPE WellKnownSidType, PSID DomainSid, PSID pSid,
                        DWORD* cbSid) {
  return TellCaller([&] { return CreateWellKnown(WellKnownSidType, DomainSid, pSid, cbSid); });
}

BOOL GetWindowsAccountDomainSid(PSID pSid, PSID pDomainSid, DWORD* cbDomainSid) {
  return TellCaller([&] { return DomainOf(pSid, pDomainSid, cbDomainSid); });
}

BOOL ConvertSidToStringSidA(PSID Sid, LPSTR* StringSid) {
  return TellCaller([&] { return SidToText(Sid, StringSid); });
}
BOOL ConvertSidToStringSidW(PSID Sid, LPWSTR* StringSid) {
  return TellCaller([&] { return SidToText(Sid, StringSid); });
}

BOOL ConvertStringSidToSidA(LPCSTR StringSid, PSID* Sid) {
  return TellCaller([&] { return TextToSid(StringSid, Sid); });
}
BOOL ConvertStringSidToSidW(LPCWSTR StringSid, PSID* Sid) {
  return TellCaller([&] { return TextToSid(StringSid, Sid); });
}

}  // extern "C"
