#include "tests/faults/authorization_scenes.h"

#include <ktlsim/security.h>
#include <sspi.h>
#include <sys/types.h>
#include <sys/wait.h>

#include <array>
#include <cstdint>
#include <functional>
#include <utility>

#include <gtest/gtest.h>

#include "kernel_sim/authorization/impersonation.h"

namespace ktlsim::test {
namespace {

// A client's token, made without faults: opened with all rights, and never closed.
HANDLE ClientToken() {
  static HANDLE const handle = [] {
    HANDLE process = nullptr;
    HANDLE client = nullptr;
    EXPECT_EQ(OpenProcessToken(GetCurrentProcess(), TOKEN_ALL_ACCESS, &process), TRUE);
    EXPECT_EQ(
        DuplicateTokenEx(process, 0, nullptr, SecurityImpersonation, TokenImpersonation, &client),
        TRUE);
    EXPECT_EQ(CloseHandle(process), TRUE);
    return client;
  }();
  return handle;
}

// The process's own, likewise.
HANDLE PrimaryToken() {
  static HANDLE const handle = [] {
    HANDLE process = nullptr;
    EXPECT_EQ(OpenProcessToken(GetCurrentProcess(), TOKEN_ALL_ACCESS, &process), TRUE);
    return process;
  }();
  return handle;
}

SECURITY_STATUS StatusOf(BOOL result) {
  if (result == TRUE) return SEC_E_OK;
  return KtlsimGetLastError() == ERROR_NOT_ENOUGH_MEMORY ? SEC_E_INSUFFICIENT_MEMORY
                                                         : SEC_E_INTERNAL_ERROR;
}

// TRUE, or no memory, and then TRUE. The thread acts as the process afterwards.
Scene Succeeds(std::function<BOOL()> call) {
  return [call = std::move(call)](FaultRun& run) {
    static_cast<void>(ClientToken());
    run.ReturnsOrCanBeRetried(SEC_E_OK, "the call", [&] { return StatusOf(call()); });
    authorization::Revert();
  };
}

// A function that gives a handle, which is closed.
Scene Opens(std::function<BOOL(PHANDLE)> call) {
  return Succeeds([call = std::move(call)] {
    HANDLE handle = nullptr;
    const BOOL opened = call(&handle);
    EXPECT_EQ(opened == TRUE, handle != nullptr);
    return opened == TRUE ? CloseHandle(handle) : opened;
  });
}

struct Everybody {
  SID sid = {1, 1, {{0, 0, 0, 0, 0, 1}}, {0}};
};

void AddHandles(std::map<std::string, Scene>& scenes) {
  for (const char* name :
       {"GetLastError", "KtlsimGetLastError", "SetLastError", "KtlsimSetLastError"}) {
    scenes[name] = Succeeds([] {
      SetLastError(7);
      KtlsimSetLastError(GetLastError() + 1);
      return KtlsimGetLastError() == 8 ? TRUE : FALSE;
    });
  }
  for (const char* name : {"GetCurrentProcess", "KtlsimGetCurrentProcess", "CloseHandle"}) {
    scenes[name] = Succeeds([] {
      return GetCurrentProcess() == KtlsimGetCurrentProcess() ? CloseHandle(GetCurrentProcess())
                                                              : FALSE;
    });
  }
  for (const char* name : {"GetCurrentThread", "KtlsimGetCurrentThread", "KtlsimCloseHandle"}) {
    scenes[name] = Succeeds([] {
      return GetCurrentThread() == KtlsimGetCurrentThread() ? KtlsimCloseHandle(GetCurrentThread())
                                                            : FALSE;
    });
  }
}

void AddTokens(std::map<std::string, Scene>& scenes) {
  scenes["OpenProcessToken"] = Opens(
      [](PHANDLE handle) { return OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, handle); });
  scenes["OpenThreadToken"] = Opens([](PHANDLE handle) {
    if (ImpersonateLoggedOnUser(ClientToken()) != TRUE) return FALSE;
    return OpenThreadToken(GetCurrentThread(), TOKEN_QUERY, TRUE, handle);
  });
  scenes["DuplicateToken"] = Opens(
      [](PHANDLE handle) { return DuplicateToken(ClientToken(), SecurityIdentification, handle); });
  scenes["DuplicateTokenEx"] = Opens([](PHANDLE handle) {
    return DuplicateTokenEx(ClientToken(), MAXIMUM_ALLOWED, nullptr, SecurityImpersonation,
                            TokenPrimary, handle);
  });
  scenes["GetTokenInformation"] = Succeeds([] {
    std::array<std::uint64_t, 512> block{};
    DWORD bytes = 0;
    return GetTokenInformation(ClientToken(), TokenGroupsAndPrivileges, block.data(), sizeof(block),
                               &bytes);
  });
  scenes["IsTokenRestricted"] =
      Succeeds([] { return IsTokenRestricted(ClientToken()) == FALSE ? TRUE : FALSE; });
}

void AddImpersonation(std::map<std::string, Scene>& scenes) {
  scenes["ImpersonateLoggedOnUser"] =
      Succeeds([] { return ImpersonateLoggedOnUser(ClientToken()); });
  scenes["ImpersonateSelf"] = Succeeds([] { return ImpersonateSelf(SecurityImpersonation); });
  scenes["RevertToSelf"] = Succeeds([] { return RevertToSelf(); });
  scenes["SetThreadToken"] = Succeeds([] { return SetThreadToken(nullptr, ClientToken()); });
}

void AddAccess(std::map<std::string, Scene>& scenes) {
  scenes["MapGenericMask"] = Succeeds([] {
    GENERIC_MAPPING mapping = {1, 2, 4, 7};
    DWORD mask = GENERIC_READ;
    MapGenericMask(&mask, &mapping);
    return mask == 1 ? TRUE : FALSE;
  });
  scenes["AccessCheck"] = Succeeds([] {
    SID everybody = {1, 1, {{0, 0, 0, 0, 0, 1}}, {0}};
    SECURITY_DESCRIPTOR descriptor = {1, 0, 0, &everybody, &everybody, nullptr, nullptr};
    GENERIC_MAPPING mapping = {1, 2, 4, 7};
    PRIVILEGE_SET privileges{};
    DWORD bytes = sizeof(privileges);
    DWORD granted = 0;
    BOOL status = FALSE;
    return AccessCheck(&descriptor, ClientToken(), 1, &mapping, &privileges, &bytes, &granted,
                       &status);
  });
  for (const char* name : {"AreAllAccessesGranted", "AreAnyAccessesGranted"}) {
    scenes[name] = Succeeds(
        [] { return AreAllAccessesGranted(3, 1) == TRUE ? AreAnyAccessesGranted(3, 5) : FALSE; });
  }
}

// Of an object and a property of it: the whole, or each.
Scene ChecksByType(bool each) {
  return Succeeds([each] {
    Everybody everybody;
    SECURITY_DESCRIPTOR descriptor = {1, 0, 0, &everybody.sid, &everybody.sid, nullptr, nullptr};
    GUID guids[2] = {{1, 0, 0, {}}, {2, 0, 0, {}}};
    OBJECT_TYPE_LIST types[2] = {{0, 0, &guids[0]}, {1, 0, &guids[1]}};
    GENERIC_MAPPING mapping = {1, 2, 4, 7};
    PRIVILEGE_SET privileges{};
    DWORD bytes = sizeof(privileges);
    DWORD granted[2] = {};
    DWORD statuses[2] = {};
    BOOL status = FALSE;
    return each ? AccessCheckByTypeResultList(&descriptor, nullptr, ClientToken(), 1, types, 2,
                                              &mapping, &privileges, &bytes, granted, statuses)
                : AccessCheckByType(&descriptor, nullptr, ClientToken(), 1, types, 2, &mapping,
                                    &privileges, &bytes, granted, &status);
  });
}

void AddAdjustments(std::map<std::string, Scene>& scenes) {
  scenes["AdjustTokenPrivileges"] = Succeeds([] {
    TOKEN_PRIVILEGES wanted = {1, {{{23, 0}, SE_PRIVILEGE_ENABLED}}};
    TOKEN_PRIVILEGES before{};
    DWORD bytes = 0;
    return AdjustTokenPrivileges(ClientToken(), FALSE, &wanted, sizeof(before), &before, &bytes);
  });
  scenes["AdjustTokenGroups"] = Succeeds([] {
    Everybody everybody;
    TOKEN_GROUPS wanted = {1, {{&everybody.sid, SE_GROUP_ENABLED}}};
    TOKEN_GROUPS before{};
    DWORD bytes = 0;
    return AdjustTokenGroups(ClientToken(), FALSE, &wanted, sizeof(before), &before, &bytes);
  });
  scenes["SetTokenInformation"] = Succeeds([] {
    ACL empty = {ACL_REVISION, 0, sizeof(ACL), 0, 0};
    TOKEN_DEFAULT_DACL dacl = {&empty};
    return SetTokenInformation(ClientToken(), TokenDefaultDacl, &dacl, sizeof(dacl));
  });
  scenes["PrivilegeCheck"] = Succeeds([] {
    PRIVILEGE_SET required = {1, 0, {{{23, 0}, 0}}};
    BOOL held = FALSE;
    return PrivilegeCheck(ClientToken(), &required, &held);
  });
  scenes["CheckTokenMembership"] = Succeeds([] {
    Everybody everybody;
    BOOL is_member = FALSE;
    return CheckTokenMembership(ClientToken(), &everybody.sid, &is_member);
  });
  scenes["CreateRestrictedToken"] = Opens([](PHANDLE handle) {
    Everybody everybody;
    SID_AND_ATTRIBUTES sid = {&everybody.sid, 0};
    LUID_AND_ATTRIBUTES privilege = {{23, 0}, 0};
    return CreateRestrictedToken(ClientToken(), 0, 1, &sid, 1, &privilege, 1, &sid, handle);
  });
  const auto start = [](bool wide) {
    return Succeeds([wide] {
      char line[] = "true";
      WCHAR wide_line[] = u"true";
      char block[] = "A=B\0";
      STARTUPINFOA startup{};
      startup.cb = sizeof(startup);
      STARTUPINFOW wide_startup{};
      wide_startup.cb = sizeof(wide_startup);
      PROCESS_INFORMATION process{};
      const BOOL started =
          wide ? CreateProcessAsUserW(PrimaryToken(), u"/bin/true", wide_line, nullptr, nullptr,
                                      FALSE, 0, block, u"/", &wide_startup, &process)
               : CreateProcessAsUserA(PrimaryToken(), "/bin/true", line, nullptr, nullptr, FALSE, 0,
                                      block, "/", &startup, &process);
      if (started != TRUE) return started;
      int status = -1;
      EXPECT_GT(waitpid(static_cast<pid_t>(process.dwProcessId), &status, 0), 0);
      EXPECT_EQ(status, 0);
      return CloseHandle(process.hProcess);
    });
  };
  scenes["CreateProcessAsUserA"] = start(false);
  scenes["CreateProcessAsUserW"] = start(true);
  scenes["ImpersonateAnonymousToken"] =
      Succeeds([] { return ImpersonateAnonymousToken(GetCurrentThread()); });
}

}  // namespace

void AddAuthorizationScenes(std::map<std::string, Scene>& scenes) {
  AddHandles(scenes);
  AddTokens(scenes);
  AddAdjustments(scenes);
  AddImpersonation(scenes);
  AddAccess(scenes);
  scenes["AccessCheckByType"] = ChecksByType(false);
  scenes["AccessCheckByTypeResultList"] = ChecksByType(true);
}

}  // namespace ktlsim::test
