// Names of privileges and accounts: the functions of the C API that look them up.

#include <ktlsim/security.h>

#include "kernel_sim/authorization/account_names.h"
#include "kernel_sim/authorization/caller.h"
#include "kernel_sim/authorization/caller_text.h"
#include "kernel_sim/authorization/impersonation.h"
#include "kernel_sim/authorization/process_token.h"

namespace ktlsim::authorization {
namespace {

using security::Fault;
using security::Sid;

// A machine that a caller names: only this one.
template <typename Unit>
Fault JudgeMachine(const Unit* machine) {
  const bool here = machine == nullptr || LoadElement<Unit>(machine, 0, 0) == 0;
  return here ? Fault::kNone : Fault::kInvalidParameter;
}

template <typename Unit>
Fault ValueOfPrivilege(const Unit* machine, const Unit* name, PLUID luid) {
  if (luid == nullptr) return Fault::kNoAccess;
  Fault fault = JudgeMachine(machine);
  if (fault != Fault::kNone) return fault;
  std::string text;
  fault = ReadText(name, &text);
  if (fault != Fault::kNone) return fault;
  const auto privilege = security::FindPrivilege(text);
  if (!privilege) return Fault::kNoSuchPrivilege;
  StoreTo(luid, security::LuidOf(*privilege));
  return Fault::kNone;
}

template <typename Unit>
Fault NameOfPrivilege(const Unit* machine, PLUID luid, Unit* name, LPDWORD units) {
  if (luid == nullptr) return Fault::kNoAccess;
  if (const Fault fault = JudgeMachine(machine); fault != Fault::kNone) return fault;
  const auto privilege = security::PrivilegeOf(LoadFrom<security::Luid>(luid));
  return privilege ? StoreText(security::NameOf(*privilege), name, units) : Fault::kNoSuchPrivilege;
}

// A caller's buffer for a text, and what goes there.
template <typename Unit>
struct TextRoom {
  Unit* buffer;
  LPDWORD units;
  std::basic_string<Unit> text = {};

  std::size_t needed() const { return text.size() + 1; }
  bool Fits() const { return LoadFrom<DWORD>(units) >= needed(); }
  void StoreNeeded() const { StoreTo(units, static_cast<DWORD>(needed())); }
  // Without a buffer only the length.
  void Store() const {
    if (buffer != nullptr) {
      std::memcpy(static_cast<void*>(buffer), text.c_str(), needed() * sizeof(Unit));
    }
    StoreTo(units, static_cast<DWORD>(text.size()));
  }
};

template <typename Unit>
Fault NameOfSid(const Unit* machine, PSID sid, TextRoom<Unit> name, TextRoom<Unit> domain,
                PSID_NAME_USE use) {
  if (name.units == nullptr || domain.units == nullptr || use == nullptr) return Fault::kNoAccess;
  Fault fault = JudgeMachine(machine);
  if (fault != Fault::kNone) return fault;
  Sid copy;
  fault = CaptureSid(sid, &copy);
  if (fault != Fault::kNone) return fault;
  AccountName account;
  fault = FindAccountName(copy, &account);
  if (fault != Fault::kNone) return fault;
  Convert(account.name, &name.text);
  Convert(account.domain, &domain.text);
  if (!name.Fits() || !domain.Fits()) {
    name.StoreNeeded();
    domain.StoreNeeded();
    return Fault::kInsufficientBuffer;
  }
  name.Store();
  domain.Store();
  StoreTo(use, account.use);
  return Fault::kNone;
}

struct SidRoom {
  PSID sid;
  LPDWORD bytes;
};

template <typename Unit>
Fault SidOfAccount(const Unit* machine, const Unit* name, const SidRoom& room,
                   TextRoom<Unit> domain, PSID_NAME_USE use) {
  if (room.bytes == nullptr || domain.units == nullptr || use == nullptr) return Fault::kNoAccess;
  Fault fault = JudgeMachine(machine);
  if (fault != Fault::kNone) return fault;
  std::string text;
  fault = ReadText(name, &text);
  if (fault != Fault::kNone) return fault;
  Sid sid;
  AccountName account;
  fault = FindAccount(text, &sid, &account);
  if (fault != Fault::kNone) return fault;
  Convert(account.domain, &domain.text);
  const auto image = sid.view().image();
  const bool fits = LoadFrom<DWORD>(room.bytes) >= image.size() && domain.Fits();
  if (fits && room.sid == nullptr) return Fault::kNoAccess;
  StoreTo(room.bytes, static_cast<DWORD>(image.size()));
  if (!fits) {
    domain.StoreNeeded();
    return Fault::kInsufficientBuffer;
  }
  std::memcpy(room.sid, image.data(), image.size());
  domain.Store();
  StoreTo(use, account.use);
  return Fault::kNone;
}

template <typename Unit>
Fault NameOfActing(Unit* buffer, LPDWORD units) {
  const security::Token::Ref thread = ThreadToken();
  const security::Token::Ref& acting = thread != nullptr ? thread : ProcessToken();
  if (acting == nullptr) return Fault::kNoMemory;
  const security::TokenStateRef state = acting->state();
  if (thread != nullptr && state->level() == security::ImpersonationLevel::kAnonymous) {
    return Fault::kCantOpenAnonymous;
  }
  AccountName account;
  const Fault fault = FindAccountName(state->user(), &account);
  return fault != Fault::kNone ? fault : StoreText(account.name, buffer, units);
}

}  // namespace
}  // namespace ktlsim::authorization

using namespace ktlsim;                 // NOLINT: the C API below is this file's whole point
using namespace ktlsim::authorization;  // NOLINT

extern "C" {

BOOL LookupPrivilegeValueA(LPCSTR lpSystemName, LPCSTR lpName, PLUID lpLuid) {
  return TellCaller([&] { return ValueOfPrivilege(lpSystemName, lpName, lpLuid); });
}
BOOL LookupPrivilegeValueW(LPCWSTR lpSystemName, LPCWSTR lpName, PLUID lpLuid) {
  return TellCaller([&] { return ValueOfPrivilege(lpSystemName, lpName, lpLuid); });
}

BOOL LookupPrivilegeNameA(LPCSTR lpSystemName, PLUID lpLuid, LPSTR lpName, LPDWORD cchName) {
  return TellCaller([&] { return NameOfPrivilege(lpSystemName, lpLuid, lpName, cchName); });
}
BOOL LookupPrivilegeNameW(LPCWSTR lpSystemName, PLUID lpLuid, LPWSTR lpName, LPDWORD cchName) {
  return TellCaller([&] { return NameOfPrivilege(lpSystemName, lpLuid, lpName, cchName); });
}

BOOL LookupAccountSidA(LPCSTR lpSystemName, PSID Sid, LPSTR Name, LPDWORD cchName,
                       LPSTR ReferencedDomainName, LPDWORD cchReferencedDomainName,
                       PSID_NAME_USE peUse) {
  return TellCaller([&] {
    return NameOfSid<CHAR>(lpSystemName, Sid, {Name, cchName},
                           {ReferencedDomainName, cchReferencedDomainName}, peUse);
  });
}
BOOL LookupAccountSidW(LPCWSTR lpSystemName, PSID Sid, LPWSTR Name, LPDWORD cchName,
                       LPWSTR ReferencedDomainName, LPDWORD cchReferencedDomainName,
                       PSID_NAME_USE peUse) {
  return TellCaller([&] {
    return NameOfSid<WCHAR>(lpSystemName, Sid, {Name, cchName},
                            {ReferencedDomainName, cchReferencedDomainName}, peUse);
  });
}

BOOL LookupAccountNameA(LPCSTR lpSystemName, LPCSTR lpAccountName, PSID Sid, LPDWORD cbSid,
                        LPSTR ReferencedDomainName, LPDWORD cchReferencedDomainName,
                        PSID_NAME_USE peUse) {
  return TellCaller([&] {
    return SidOfAccount<CHAR>(lpSystemName, lpAccountName, {Sid, cbSid},
                              {ReferencedDomainName, cchReferencedDomainName}, peUse);
  });
}
BOOL LookupAccountNameW(LPCWSTR lpSystemName, LPCWSTR lpAccountName, PSID Sid, LPDWORD cbSid,
                        LPWSTR ReferencedDomainName, LPDWORD cchReferencedDomainName,
                        PSID_NAME_USE peUse) {
  return TellCaller([&] {
    return SidOfAccount<WCHAR>(lpSystemName, lpAccountName, {Sid, cbSid},
                               {ReferencedDomainName, cchReferencedDomainName}, peUse);
  });
}

BOOL GetUserNameA(LPSTR lpBuffer, LPDWORD pcbBuffer) {
  return TellCaller([&] { return NameOfActing(lpBuffer, pcbBuffer); });
}
BOOL GetUserNameW(LPWSTR lpBuffer, LPDWORD pcbBuffer) {
  return TellCaller([&] { return NameOfActing(lpBuffer, pcbBuffer); });
}

BOOL AllocateLocallyUniqueId(PLUID Luid) {
  return TellCaller([&] {
    if (Luid == nullptr) return security::Fault::kNoAccess;
    StoreTo(Luid, NextLuid());
    return security::Fault::kNone;
  });
}

}  // extern "C"
