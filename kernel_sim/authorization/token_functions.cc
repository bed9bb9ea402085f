// Handles and tokens: the functions of the C API that open, copy and close them.

#include <ktlsim/security.h>

#include <utility>

#include "kernel_sim/authorization/caller.h"
#include "kernel_sim/authorization/impersonation.h"
#include "kernel_sim/authorization/process_token.h"

namespace ktlsim::authorization {

using security::AccessMask;
using security::Fault;
using security::ImpersonationLevel;
using security::Token;
using security::TokenType;

namespace {

constexpr security::GenericMapping kTokenMapping = {TOKEN_READ, TOKEN_WRITE, TOKEN_EXECUTE,
                                                    TOKEN_ALL_ACCESS};
static_assert(kTokenAllAccess == TOKEN_ALL_ACCESS);

// As rights to a token: with the generic ones mapped, and all of them for MAXIMUM_ALLOWED. None:
// there are rights that no token has.
std::optional<AccessMask> ReadTokenAccess(AccessMask desired) {
  const bool all = (desired & security::kMaximumAllowed) != 0;
  const AccessMask wanted =
      security::MapGeneric(desired & ~security::kMaximumAllowed, kTokenMapping);
  if ((wanted & ~kTokenAllAccess) != 0) return std::nullopt;
  return all ? kTokenAllAccess : wanted;
}

// As whom the thread acts. Null: no memory.
Token::Ref Acting() {
  Token::Ref thread = ThreadToken();
  return thread != nullptr ? thread : ProcessToken();
}

Fault OpenAs(const Token::Ref& judged, const Token::Ref& token, AccessMask desired,
             HandleValue* handle) {
  if (judged == nullptr || token == nullptr) return Fault::kNoMemory;
  const auto granted = GrantToken(*judged->state(), *token->state(), desired);
  return granted ? OpenToken(token, *granted, handle) : Fault::kAccessDenied;
}

Fault OpenOfThread(AccessMask desired, bool as_self, HandleValue* handle) {
  const Token::Ref token = ThreadToken();
  if (token == nullptr) return Fault::kNoToken;
  const ImpersonationLevel level = token->state()->level();
  if (level == ImpersonationLevel::kAnonymous) return Fault::kCantOpenAnonymous;
  if (!as_self && level == ImpersonationLevel::kIdentification) {
    return Fault::kBadImpersonationLevel;
  }
  return OpenAs(as_self ? ProcessToken() : token, token, desired, handle);
}

// A thread whose token says at most who its client is opens nothing as that client.
Fault OpenOfProcess(AccessMask desired, HandleValue* handle) {
  const Token::Ref thread = ThreadToken();
  if (thread != nullptr && thread->state()->level() < ImpersonationLevel::kImpersonation) {
    return Fault::kBadImpersonationLevel;
  }
  return OpenAs(thread != nullptr ? thread : ProcessToken(), ProcessToken(), desired, handle);
}

std::optional<TokenType> TypeOf(TOKEN_TYPE type) {
  switch (type) {
    case ::TokenPrimary:
      return TokenType::kPrimary;
    case ::TokenImpersonation:
      return TokenType::kImpersonation;
  }
  return std::nullopt;
}

Fault Duplicate(HANDLE existing, AccessMask desired, SECURITY_IMPERSONATION_LEVEL level_asked,
                TOKEN_TYPE type_asked, PHANDLE made) {
  if (made == nullptr) return Fault::kNoAccess;
  const auto level = LevelOf(level_asked);
  const auto type = TypeOf(type_asked);
  if (!level || !type) return Fault::kInvalidParameter;
  NamedToken named;
  if (const Fault fault = FindNamed(existing, TOKEN_DUPLICATE, &named); fault != Fault::kNone) {
    return fault;
  }
  Token::Ref copy;
  const Fault fault = named.token->Duplicate(*type, *level, NextLuid(), &copy);
  if (fault != Fault::kNone) return fault;
  // Who makes a token may do with it whatever there is.
  const auto granted = desired == 0 ? std::optional(named.access) : ReadTokenAccess(desired);
  return granted ? OpenToken(std::move(copy), *granted, made) : Fault::kAccessDenied;
}

}  // namespace

Fault FindNamed(HANDLE handle, AccessMask needed, NamedToken* named) {
  if (IsPseudo(handle, kCurrentProcessToken)) {
    *named = {ProcessToken(), TOKEN_QUERY | TOKEN_QUERY_SOURCE};
  } else if (IsPseudo(handle, kCurrentThreadToken)) {
    *named = {ThreadToken(), TOKEN_QUERY | TOKEN_QUERY_SOURCE};
    if (named->token == nullptr) return Fault::kNoToken;
  } else if (IsPseudo(handle, kCurrentThreadEffectiveToken)) {
    *named = {Acting(), TOKEN_QUERY | TOKEN_QUERY_SOURCE};
  } else {
    const executive::Reference<TokenObject> object = FindToken(handle);
    if (!object) return Fault::kInvalidHandle;
    *named = {object->token(), object->access()};
  }
  if (named->token == nullptr) return Fault::kNoMemory;
  return (named->access & needed) == needed ? Fault::kNone : Fault::kAccessDenied;
}

std::optional<AccessMask> GrantToken(const security::TokenState& judged,
                                     const security::TokenState& object, AccessMask desired) {
  const Token::Ref& process = ProcessToken();
  const bool may = judged.IsMember(object.user()) || judged.IsMember(security::kLocalSystemSid) ||
                   (process != nullptr && judged.IsMember(process->state()->user()));
  return may || desired == 0 ? ReadTokenAccess(desired) : std::nullopt;
}

std::optional<ImpersonationLevel> LevelOf(SECURITY_IMPERSONATION_LEVEL level) {
  switch (level) {
    case SecurityAnonymous:
      return ImpersonationLevel::kAnonymous;
    case SecurityIdentification:
      return ImpersonationLevel::kIdentification;
    case SecurityImpersonation:
      return ImpersonationLevel::kImpersonation;
    case SecurityDelegation:
      return ImpersonationLevel::kDelegation;
  }
  return std::nullopt;
}

}  // namespace ktlsim::authorization

using namespace ktlsim;                 // NOLINT: the C API below is this file's whole point
using namespace ktlsim::authorization;  // NOLINT

extern "C" {

DWORD KtlsimGetLastError(void) { return LastError(); }
DWORD GetLastError(void) { return LastError(); }
void KtlsimSetLastError(DWORD dwErrCode) { ktlsim::SetLastError(dwErrCode); }
void SetLastError(DWORD dwErrCode) { ktlsim::SetLastError(dwErrCode); }

BOOL KtlsimCloseHandle(HANDLE hObject) {
  return TellCaller([&] { return CloseForCaller(hObject); });
}
BOOL CloseHandle(HANDLE hObject) { return KtlsimCloseHandle(hObject); }

HANDLE KtlsimGetCurrentProcess(void) { return reinterpret_cast<HANDLE>(kCurrentProcess); }
HANDLE GetCurrentProcess(void) { return KtlsimGetCurrentProcess(); }
HANDLE KtlsimGetCurrentThread(void) { return reinterpret_cast<HANDLE>(kCurrentThread); }
HANDLE GetCurrentThread(void) { return KtlsimGetCurrentThread(); }

BOOL OpenProcessToken(HANDLE ProcessHandle, DWORD DesiredAccess, PHANDLE TokenHandle) {
  return TellCaller([&] {
    if (TokenHandle == nullptr) return security::Fault::kNoAccess;
    if (!IsPseudo(ProcessHandle, kCurrentProcess)) return security::Fault::kInvalidHandle;
    return OpenOfProcess(DesiredAccess, TokenHandle);
  });
}

BOOL OpenThreadToken(HANDLE ThreadHandle, DWORD DesiredAccess, BOOL OpenAsSelf,
                     PHANDLE TokenHandle) {
  return TellCaller([&] {
    if (TokenHandle == nullptr) return security::Fault::kNoAccess;
    if (!IsPseudo(ThreadHandle, kCurrentThread)) return security::Fault::kInvalidHandle;
    return OpenOfThread(DesiredAccess, OpenAsSelf != FALSE, TokenHandle);
  });
}

BOOL DuplicateTokenEx(HANDLE hExistingToken, DWORD dwDesiredAccess,
                      LPSECURITY_ATTRIBUTES /*lpTokenAttributes*/,
                      SECURITY_IMPERSONATION_LEVEL ImpersonationLevel, TOKEN_TYPE TokenType,
                      PHANDLE phNewToken) {
  return TellCaller([&] {
    return Duplicate(hExistingToken, dwDesiredAccess, ImpersonationLevel, TokenType, phNewToken);
  });
}

BOOL DuplicateToken(HANDLE ExistingTokenHandle, SECURITY_IMPERSONATION_LEVEL ImpersonationLevel,
                    PHANDLE DuplicateTokenHandle) {
  return TellCaller([&] {
    return Duplicate(ExistingTokenHandle, TOKEN_QUERY | TOKEN_IMPERSONATE, ImpersonationLevel,
                     TokenImpersonation, DuplicateTokenHandle);
  });
}

BOOL IsTokenRestricted(HANDLE TokenHandle) {
  bool restricted = false;
  const BOOL found = TellCaller([&] {
    NamedToken named;
    const security::Fault fault = FindNamed(TokenHandle, TOKEN_QUERY, &named);
    if (fault == security::Fault::kNone) restricted = named.token->state()->restricted();
    return fault;
  });
  if (found == TRUE && !restricted) ktlsim::SetLastError(ERROR_SUCCESS);
  return restricted ? TRUE : FALSE;
}

BOOL ImpersonateLoggedOnUser(HANDLE hToken) {
  return TellCaller([&] {
    NamedToken named;
    const security::Fault fault = FindNamed(hToken, TOKEN_QUERY, &named);
    if (fault != security::Fault::kNone) return fault;
    const bool primary = named.token->state()->type() == security::TokenType::kPrimary;
    const DWORD needed = primary ? TOKEN_DUPLICATE : TOKEN_IMPERSONATE;
    if ((named.access & needed) == 0) return security::Fault::kAccessDenied;
    return Impersonate(named.token);
  });
}

BOOL ImpersonateSelf(SECURITY_IMPERSONATION_LEVEL ImpersonationLevel) {
  return TellCaller([&] {
    const auto level = LevelOf(ImpersonationLevel);
    if (!level) return security::Fault::kInvalidParameter;
    const security::Token::Ref& process = ProcessToken();
    if (process == nullptr) return security::Fault::kNoMemory;
    security::Token::Ref copy;
    const security::Fault fault =
        process->Duplicate(security::TokenType::kImpersonation, *level, NextLuid(), &copy);
    return fault != security::Fault::kNone ? fault : Impersonate(copy);
  });
}

BOOL RevertToSelf(void) {
  Revert();
  return TRUE;
}

BOOL SetThreadToken(PHANDLE Thread, HANDLE Token) {
  return TellCaller([&] {
    if (Thread != nullptr && !IsPseudo(*Thread, kCurrentThread)) {
      return security::Fault::kInvalidHandle;
    }
    if (Token == nullptr) {
      Revert();
      return security::Fault::kNone;
    }
    NamedToken named;
    const security::Fault fault = FindNamed(Token, TOKEN_IMPERSONATE, &named);
    if (fault != security::Fault::kNone) return fault;
    return named.token->state()->type() == security::TokenType::kPrimary
               ? security::Fault::kBadTokenType
               : Impersonate(named.token);
  });
}

}  // extern "C"
