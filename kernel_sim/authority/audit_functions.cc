// Accesses that are checked and recorded: the functions of the C API.

#include <ktlsim/security.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "kernel_sim/audit/object_audit.h"
#include "kernel_sim/authority/local_trail.h"
#include "kernel_sim/authorization/caller.h"
#include "kernel_sim/authorization/captured_descriptor.h"
#include "kernel_sim/authorization/impersonation.h"
#include "kernel_sim/authorization/process_token.h"
#include "kernel_sim/digest/charset.h"
#include "kernel_sim/security/access_check.h"
#include "kernel_sim/sspi/text.h"

namespace ktlsim::authority {
namespace {

using authorization::CapturedDescriptor;
using authorization::LoadElement;
using authorization::LoadFrom;
using authorization::StoreTo;
using authorization::TellCaller;
using security::Fault;

// One byte more than a record takes, so that it says that the rest was cut off.
constexpr std::size_t kTextMax = audit::kObjectBytesMax + 1;

bool IsContinuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80; }

// The bytes of the character that `first` begins; 1: of one byte, or of none.
std::size_t CharacterBytes(char first) {
  const auto byte = static_cast<unsigned char>(first);
  if (byte < 0xC2 || byte > 0xF4) return 1;
  if (byte < 0xE0) return 2;
  return byte < 0xF0 ? 3 : 4;
}

// Without its last character, if that is not whole.
std::string_view WholeCharacters(std::string_view text) {
  std::size_t begin = text.size();
  while (begin > 0 && text.size() - begin < 3 && IsContinuation(text[begin - 1])) --begin;
  if (begin == 0 || CharacterBytes(text[begin - 1]) <= text.size() - begin + 1) return text;
  return text.substr(0, begin - 1);
}

// False: it is no UTF-8. A text without an end is read no further than a record has room.
bool ReadText(const char* text, std::string* out) {
  const std::size_t bytes = text != nullptr ? strnlen(text, kTextMax) : 0;
  out->assign(text != nullptr ? text : "", bytes);
  return digest::IsUtf8(bytes == kTextMax ? WholeCharacters(*out) : std::string_view(*out));
}

bool ReadText(const WCHAR* text, std::string* out) {
  std::u16string copy;
  while (text != nullptr && copy.size() < kTextMax) {
    const auto unit = LoadElement<WCHAR>(text, 0, copy.size());
    if (unit == 0) break;
    copy.push_back(unit);
  }
  *out = sspi::ToUtf8(copy);
  return true;
}

// What the caller says about the object.
struct ObjectTexts {
  template <typename Unit>
  Fault Read(const Unit* subsystem_text, const Unit* type_text, const Unit* name_text) {
    return ReadText(subsystem_text, &subsystem) && ReadText(type_text, &type) &&
                   ReadText(name_text, &name)
               ? Fault::kNone
               : Fault::kInvalidParameter;
  }
  audit::AuditedObject With(LPVOID handle_id) const {
    return {.subsystem = subsystem,
            .handle_id = reinterpret_cast<std::uintptr_t>(handle_id),
            .type = type,
            .name = name};
  }

  std::string subsystem{};
  std::string type{};
  std::string name{};
};

// Who acts: this process, and a client or none.
class Parties {
 public:
  // The client: `token`, or null.
  explicit Parties(const security::Token::Ref& token) : use_(LocalTrail::Instance()) {
    const security::Token::Ref& process = authorization::ProcessToken();
    if (process != nullptr) process_ = process->state();
    if (token != nullptr) client_ = token->state();
  }

  bool complete() const { return process_ != nullptr; }
  audit::AuditParties get() const {
    return {.trail = use_.get(),
            .process = *process_,
            .client = client_.get(),
            .client_name = ClientName()};
  }

 private:
  std::string_view ClientName() const {
    if (client_ == nullptr) return {};
    const auto& session = client_->identity().logon_session;
    return session != nullptr ? session->user_name() : std::string_view();
  }

  const LocalTrail::Use use_;
  security::TokenStateRef process_;
  security::TokenStateRef client_;
};

// `call(parties)`, with the thread's client.
template <typename Call>
Fault AsThread(const Call& call) {
  const Parties parties(authorization::ThreadToken());
  return parties.complete() ? call(parties.get()) : Fault::kNoMemory;
}

// With the client that a handle names.
template <typename Call>
Fault AsNamed(HANDLE client, const Call& call) {
  authorization::NamedToken named;
  const Fault fault = authorization::FindNamed(client, TOKEN_QUERY, &named);
  if (fault != Fault::kNone) return fault;
  const Parties parties(named.token);
  return parties.complete() ? call(parties.get()) : Fault::kNoMemory;
}

// Whether the thread acts as somebody whose access can be checked.
Fault CheckThread() {
  const security::Token::Ref token = authorization::ThreadToken();
  return token != nullptr ? security::CheckClientToken(*token->state())
                          : Fault::kNoImpersonationToken;
}

// Those of `set`, which may be null. Nothing is a mistake: what there is no such privilege for is
// counted, and so is what is left of a list that is longer than any is.
void ReadPrivileges(const PRIVILEGE_SET* set, audit::DecidedAccess* decided) {
  if (set == nullptr) return;
  const auto count = LoadFrom<DWORD>(set);
  const DWORD read = std::min(count, authorization::kPrivilegesToNameMax);
  decided->unknown_privileges = count - read;
  for (DWORD i = 0; i < read; ++i) {
    const LUID luid =
        LoadElement<LUID_AND_ATTRIBUTES>(set, offsetof(PRIVILEGE_SET, Privilege), i).Luid;
    const auto one = security::PrivilegeOf({luid.LowPart, luid.HighPart});
    if (one) {
      decided->privileges.Add(*one);
    } else {
      ++decided->unknown_privileges;
    }
  }
}

struct CheckResults {
  LPDWORD granted;
  LPBOOL status;
  LPBOOL generate_on_close;
};

Fault CheckAndAudit(const audit::AuditedObject& object, PSECURITY_DESCRIPTOR descriptor,
                    DWORD desired, const GENERIC_MAPPING& mapping, BOOL creation,
                    const CheckResults& results) {
  if ((desired & security::kGenericRights) != 0) return Fault::kGenericNotMapped;
  CapturedDescriptor captured;
  Fault fault = captured.Capture(descriptor);
  if (fault != Fault::kNone) return fault;
  const audit::AuditedRequest request{.descriptor = captured.view(),
                                      .desired = desired,
                                      .mapping = {mapping.GenericRead, mapping.GenericWrite,
                                                  mapping.GenericExecute, mapping.GenericAll},
                                      .creation = creation != FALSE};
  audit::AuditedAccess access;
  fault = AsThread([&](const audit::AuditParties& parties) {
    return audit::CheckAccessAndAudit(parties, object, request, &access);
  });
  if (fault != Fault::kNone) return fault;
  StoreTo<DWORD>(results.granted, access.result.granted);
  StoreTo<BOOL>(results.status, access.result.allowed ? TRUE : FALSE);
  StoreTo<BOOL>(results.generate_on_close, access.generate_on_close ? TRUE : FALSE);
  if (!access.result.allowed) SetLastError(static_cast<std::uint32_t>(access.result.reason));
  return Fault::kNone;
}

template <typename Unit>
BOOL CheckForCaller(const Unit* subsystem, LPVOID handle_id, const Unit* type, const Unit* name,
                    PSECURITY_DESCRIPTOR descriptor, DWORD desired, PGENERIC_MAPPING mapping,
                    BOOL creation, const CheckResults& results) noexcept {
  return TellCaller([&] {
    if (descriptor == nullptr || mapping == nullptr || results.granted == nullptr ||
        results.status == nullptr || results.generate_on_close == nullptr) {
      return Fault::kNoAccess;
    }
    // As AccessCheck: who asks comes before what is asked for.
    Fault fault = CheckThread();
    ObjectTexts texts;
    if (fault == Fault::kNone) fault = texts.Read(subsystem, type, name);
    return fault != Fault::kNone
               ? fault
               : CheckAndAudit(texts.With(handle_id), descriptor, desired,
                               LoadFrom<GENERIC_MAPPING>(mapping), creation, results);
  });
}

Fault AuditOpen(const audit::AuditedObject& object, PSECURITY_DESCRIPTOR descriptor, HANDLE client,
                const audit::DecidedAccess& decided, LPBOOL generate_on_close) {
  CapturedDescriptor captured;
  Fault fault = captured.Capture(descriptor);
  if (fault != Fault::kNone) return fault;
  bool generates = false;
  fault = AsNamed(client, [&](const audit::AuditParties& parties) {
    return audit::AuditObjectOpen(parties, object, captured.view(), decided, &generates);
  });
  if (fault == Fault::kNone) StoreTo<BOOL>(generate_on_close, generates ? TRUE : FALSE);
  return fault;
}

template <typename Unit>
BOOL OpenForCaller(const Unit* subsystem, LPVOID handle_id, const Unit* type, const Unit* name,
                   PSECURITY_DESCRIPTOR descriptor, HANDLE client, audit::DecidedAccess decided,
                   PPRIVILEGE_SET privileges, LPBOOL generate_on_close) noexcept {
  return TellCaller([&] {
    if (descriptor == nullptr || generate_on_close == nullptr) return Fault::kNoAccess;
    ObjectTexts texts;
    const Fault fault = texts.Read(subsystem, type, name);
    ReadPrivileges(privileges, &decided);
    return fault != Fault::kNone
               ? fault
               : AuditOpen(texts.With(handle_id), descriptor, client, decided, generate_on_close);
  });
}

using EndAudit = Fault (*)(const audit::AuditParties&, const audit::AuditedObject&, bool);

// Of AuditObjectClose and AuditObjectDelete.
template <typename Unit>
BOOL EndForCaller(EndAudit end, const Unit* subsystem, LPVOID handle_id,
                  BOOL generate_on_close) noexcept {
  return TellCaller([&] {
    const Unit* const none = nullptr;
    ObjectTexts texts;
    const Fault fault = texts.Read(subsystem, none, none);
    return fault != Fault::kNone ? fault : AsThread([&](const audit::AuditParties& parties) {
      return end(parties, texts.With(handle_id), generate_on_close != FALSE);
    });
  });
}

using UseAudit = Fault (*)(const audit::AuditParties&, const audit::AuditedObject&,
                           const audit::DecidedAccess&);

// Of AuditObjectPrivilege and AuditPrivilegedService.
template <typename Unit>
BOOL UseForCaller(UseAudit use, const Unit* subsystem, LPVOID handle_id, const Unit* service,
                  HANDLE client, audit::DecidedAccess decided, PPRIVILEGE_SET privileges) noexcept {
  return TellCaller([&] {
    if (privileges == nullptr) return Fault::kNoAccess;
    const Unit* const none = nullptr;
    ObjectTexts texts;
    const Fault fault = texts.Read(subsystem, none, service);
    ReadPrivileges(privileges, &decided);
    return fault != Fault::kNone ? fault : AsNamed(client, [&](const audit::AuditParties& parties) {
      return use(parties, texts.With(handle_id), decided);
    });
  });
}

}  // namespace
}  // namespace ktlsim::authority

using namespace ktlsim;             // NOLINT: the C API below is this file's whole point
using namespace ktlsim::authority;  // NOLINT

extern "C" {

BOOL AccessCheckAndAuditAlarmA(LPCSTR SubsystemName, LPVOID HandleId, LPSTR ObjectTypeName,
                               LPSTR ObjectName, PSECURITY_DESCRIPTOR SecurityDescriptor,
                               DWORD DesiredAccess, PGENERIC_MAPPING GenericMapping,
                               BOOL ObjectCreation, LPDWORD GrantedAccess, LPBOOL AccessStatus,
                               LPBOOL pfGenerateOnClose) {
  return CheckForCaller<char>(SubsystemName, HandleId, ObjectTypeName, ObjectName,
                              SecurityDescriptor, DesiredAccess, GenericMapping, ObjectCreation,
                              {GrantedAccess, AccessStatus, pfGenerateOnClose});
}

BOOL AccessCheckAndAuditAlarmW(LPCWSTR SubsystemName, LPVOID HandleId, LPWSTR ObjectTypeName,
                               LPWSTR ObjectName, PSECURITY_DESCRIPTOR SecurityDescriptor,
                               DWORD DesiredAccess, PGENERIC_MAPPING GenericMapping,
                               BOOL ObjectCreation, LPDWORD GrantedAccess, LPBOOL AccessStatus,
                               LPBOOL pfGenerateOnClose) {
  return CheckForCaller<WCHAR>(SubsystemName, HandleId, ObjectTypeName, ObjectName,
                               SecurityDescriptor, DesiredAccess, GenericMapping, ObjectCreation,
                               {GrantedAccess, AccessStatus, pfGenerateOnClose});
}

BOOL ObjectOpenAuditAlarmA(LPCSTR SubsystemName, LPVOID HandleId, LPSTR ObjectTypeName,
                           LPSTR ObjectName, PSECURITY_DESCRIPTOR pSecurityDescriptor,
                           HANDLE ClientToken, DWORD DesiredAccess, DWORD GrantedAccess,
                           PPRIVILEGE_SET Privileges, BOOL ObjectCreation, BOOL AccessGranted,
                           LPBOOL GenerateOnClose) {
  return OpenForCaller<char>(SubsystemName, HandleId, ObjectTypeName, ObjectName,
                             pSecurityDescriptor, ClientToken,
                             {.desired = DesiredAccess,
                              .granted = GrantedAccess,
                              .creation = ObjectCreation != FALSE,
                              .allowed = AccessGranted != FALSE},
                             Privileges, GenerateOnClose);
}

BOOL ObjectOpenAuditAlarmW(LPCWSTR SubsystemName, LPVOID HandleId, LPWSTR ObjectTypeName,
                           LPWSTR ObjectName, PSECURITY_DESCRIPTOR pSecurityDescriptor,
                           HANDLE ClientToken, DWORD DesiredAccess, DWORD GrantedAccess,
                           PPRIVILEGE_SET Privileges, BOOL ObjectCreation, BOOL AccessGranted,
                           LPBOOL GenerateOnClose) {
  return OpenForCaller<WCHAR>(SubsystemName, HandleId, ObjectTypeName, ObjectName,
                              pSecurityDescriptor, ClientToken,
                              {.desired = DesiredAccess,
                               .granted = GrantedAccess,
                               .creation = ObjectCreation != FALSE,
                               .allowed = AccessGranted != FALSE},
                              Privileges, GenerateOnClose);
}

BOOL ObjectCloseAuditAlarmA(LPCSTR SubsystemName, LPVOID HandleId, BOOL GenerateOnClose) {
  return EndForCaller(&audit::AuditObjectClose, SubsystemName, HandleId, GenerateOnClose);
}
BOOL ObjectCloseAuditAlarmW(LPCWSTR SubsystemName, LPVOID HandleId, BOOL GenerateOnClose) {
  return EndForCaller(&audit::AuditObjectClose, SubsystemName, HandleId, GenerateOnClose);
}
BOOL ObjectDeleteAuditAlarmA(LPCSTR SubsystemName, LPVOID HandleId, BOOL GenerateOnClose) {
  return EndForCaller(&audit::AuditObjectDelete, SubsystemName, HandleId, GenerateOnClose);
}
BOOL ObjectDeleteAuditAlarmW(LPCWSTR SubsystemName, LPVOID HandleId, BOOL GenerateOnClose) {
  return EndForCaller(&audit::AuditObjectDelete, SubsystemName, HandleId, GenerateOnClose);
}

BOOL ObjectPrivilegeAuditAlarmA(LPCSTR SubsystemName, LPVOID HandleId, HANDLE ClientToken,
                                DWORD DesiredAccess, PPRIVILEGE_SET Privileges,
                                BOOL AccessGranted) {
  return UseForCaller<char>(
      &audit::AuditObjectPrivilege, SubsystemName, HandleId, nullptr, ClientToken,
      {.desired = DesiredAccess, .allowed = AccessGranted != FALSE}, Privileges);
}
BOOL ObjectPrivilegeAuditAlarmW(LPCWSTR SubsystemName, LPVOID HandleId, HANDLE ClientToken,
                                DWORD DesiredAccess, PPRIVILEGE_SET Privileges,
                                BOOL AccessGranted) {
  return UseForCaller<WCHAR>(
      &audit::AuditObjectPrivilege, SubsystemName, HandleId, nullptr, ClientToken,
      {.desired = DesiredAccess, .allowed = AccessGranted != FALSE}, Privileges);
}
BOOL PrivilegedServiceAuditAlarmA(LPCSTR SubsystemName, LPCSTR ServiceName, HANDLE ClientToken,
                                  PPRIVILEGE_SET Privileges, BOOL AccessGranted) {
  return UseForCaller<char>(&audit::AuditPrivilegedService, SubsystemName, nullptr, ServiceName,
                            ClientToken, {.allowed = AccessGranted != FALSE}, Privileges);
}
BOOL PrivilegedServiceAuditAlarmW(LPCWSTR SubsystemName, LPCWSTR ServiceName, HANDLE ClientToken,
                                  PPRIVILEGE_SET Privileges, BOOL AccessGranted) {
  return UseForCaller<WCHAR>(&audit::AuditPrivilegedService, SubsystemName, nullptr, ServiceName,
                             ClientToken, {.allowed = AccessGranted != FALSE}, Privileges);
}

}  // extern "C"
