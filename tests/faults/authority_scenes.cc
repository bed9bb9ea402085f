#include "tests/faults/authority_scenes.h"

#include <ktlsim/security.h>
#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <cstring>
#include <functional>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "kernel_sim/authority/local_accounts.h"
#include "tests/accounts/accounts_test_support.h"
#include "tests/support/temporary_folder.h"

namespace ktlsim::test {
namespace {

SECURITY_STATUS LogonStatus(BOOL result) {
  if (result == TRUE) return SEC_E_OK;
  // Memory for the password that could not be had is told as memory that could not be locked.
  const DWORD error = KtlsimGetLastError();
  return error == ERROR_NOT_ENOUGH_MEMORY || error == ERROR_NO_SYSTEM_RESOURCES
             ? SEC_E_INSUFFICIENT_MEMORY
             : SEC_E_INTERNAL_ERROR;
}

// An account that can log on, made without faults: the TOML library ends the process where it has
// no memory to parse. The helper threads are there after the first logon.
void NeedAccounts() {
  static const bool loaded = [] {
    const auto service = authority::LocalAccounts::Instance().service();
    service->store().Use(accounts::test::DirectoryOf("[[account]]\nname = 'alice'\npassword = '" +
                                                     accounts::test::CheapHash("right") + "'\n"));
    return true;
  }();
  EXPECT_TRUE(loaded);
}

Scene LogsOn(std::function<BOOL(PHANDLE)> call) {
  return [call = std::move(call)](FaultRun& run) {
    NeedAccounts();
    run.ReturnsOrCanBeRetried(SEC_E_OK, "log on", [&] {
      HANDLE token = nullptr;
      const SECURITY_STATUS status = LogonStatus(call(&token));
      EXPECT_EQ(status == SEC_E_OK, token != nullptr);
      if (token != nullptr) CloseHandle(token);
      return status;
    });
  };
}

// A client's token, made without faults and never closed.
HANDLE AuditedClient() {
  static HANDLE const handle = [] {
    NeedAccounts();
    HANDLE token = nullptr;
    EXPECT_EQ(LogonUserA("alice", nullptr, "right", LOGON32_LOGON_NETWORK, 0, &token), TRUE);
    return token;
  }();
  return handle;
}

// Accesses to an object whose SACL asks for a record; nothing is recorded, since no trail is open.
struct AuditedObjectScene {
  SID everybody = {1, 1, {{0, 0, 0, 0, 0, 1}}, {0}};
  struct {
    ACL header;
    SYSTEM_AUDIT_ACE ace;
    DWORD end;
  } sacl{};
  SECURITY_DESCRIPTOR descriptor{};
  GENERIC_MAPPING mapping = {1, 2, 4, 7};
  PRIVILEGE_SET privileges = {1, 0, {{{8, 0}, 0}}};
  DWORD granted = 0;
  BOOL status = FALSE;
  BOOL generate = FALSE;

  AuditedObjectScene() {
    sacl.header = {2, 0, 28, 1, 0};
    sacl.ace.Header = {2, SUCCESSFUL_ACCESS_ACE_FLAG, 20};
    sacl.ace.Mask = 1;
    std::memcpy(&sacl.ace.SidStart, &everybody, sizeof(everybody));
    descriptor = {1, 0, SE_SACL_PRESENT, &everybody, &everybody, &sacl.header, nullptr};
  }
};

// `call(scene)` returns TRUE; the thread acts as the client.
template <typename Call>
Scene Audits(Call call) {
  return [call](FaultRun& run) {
    HANDLE const client = AuditedClient();
    AuditedObjectScene scene;
    EXPECT_EQ(ImpersonateLoggedOnUser(client), TRUE);
    run.ReturnsOrCanBeRetried(SEC_E_OK, "audit", [&] { return LogonStatus(call(scene)); });
    EXPECT_EQ(RevertToSelf(), TRUE);
  };
}

void AddAuditScenes(std::map<std::string, Scene>& scenes) {
  using S = AuditedObjectScene;
  static char name[] = "the name of an object that is too long to lie in the string itself";
  static WCHAR wide[] = u"the name of an object that is too long to lie in the string itself";
  scenes["AccessCheckAndAuditAlarmA"] = Audits([](S& s) {
    return AccessCheckAndAuditAlarmA(name, nullptr, name, name, &s.descriptor, 1, &s.mapping, FALSE,
                                     &s.granted, &s.status, &s.generate);
  });
  scenes["AccessCheckAndAuditAlarmW"] = Audits([](S& s) {
    return AccessCheckAndAuditAlarmW(wide, nullptr, wide, wide, &s.descriptor, 1, &s.mapping, FALSE,
                                     &s.granted, &s.status, &s.generate);
  });
  static GUID guid = {1, 2, 3, {}};
  static OBJECT_TYPE_LIST types[] = {{0, 0, &guid}};
  scenes["AccessCheckByTypeAndAuditAlarmA"] = Audits([](S& s) {
    return AccessCheckByTypeAndAuditAlarmA(name, nullptr, name, name, &s.descriptor, &s.everybody,
                                           1, AuditEventObjectAccess, 0, types, 1, &s.mapping,
                                           FALSE, &s.granted, &s.status, &s.generate);
  });
  scenes["AccessCheckByTypeAndAuditAlarmW"] = Audits([](S& s) {
    return AccessCheckByTypeAndAuditAlarmW(wide, nullptr, wide, wide, &s.descriptor, &s.everybody,
                                           1, AuditEventObjectAccess, 0, types, 1, &s.mapping,
                                           FALSE, &s.granted, &s.status, &s.generate);
  });
  static DWORD each = 0;
  scenes["AccessCheckByTypeResultListAndAuditAlarmA"] = Audits([](S& s) {
    return AccessCheckByTypeResultListAndAuditAlarmA(
        name, nullptr, name, name, &s.descriptor, &s.everybody, 1, AuditEventObjectAccess, 0, types,
        1, &s.mapping, FALSE, &s.granted, &each, &s.generate);
  });
  scenes["AccessCheckByTypeResultListAndAuditAlarmW"] = Audits([](S& s) {
    return AccessCheckByTypeResultListAndAuditAlarmW(
        wide, nullptr, wide, wide, &s.descriptor, &s.everybody, 1, AuditEventObjectAccess, 0, types,
        1, &s.mapping, FALSE, &s.granted, &each, &s.generate);
  });
  scenes["ObjectOpenAuditAlarmA"] = Audits([](S& s) {
    return ObjectOpenAuditAlarmA(name, nullptr, name, name, &s.descriptor, AuditedClient(), 1, 1,
                                 &s.privileges, FALSE, TRUE, &s.generate);
  });
  scenes["ObjectOpenAuditAlarmW"] = Audits([](S& s) {
    return ObjectOpenAuditAlarmW(wide, nullptr, wide, wide, &s.descriptor, AuditedClient(), 1, 1,
                                 &s.privileges, FALSE, TRUE, &s.generate);
  });
  scenes["ObjectCloseAuditAlarmA"] =
      Audits([](S&) { return ObjectCloseAuditAlarmA(name, nullptr, TRUE); });
  scenes["ObjectCloseAuditAlarmW"] =
      Audits([](S&) { return ObjectCloseAuditAlarmW(wide, nullptr, TRUE); });
  scenes["ObjectDeleteAuditAlarmA"] =
      Audits([](S&) { return ObjectDeleteAuditAlarmA(name, nullptr, TRUE); });
  scenes["ObjectDeleteAuditAlarmW"] =
      Audits([](S&) { return ObjectDeleteAuditAlarmW(wide, nullptr, TRUE); });
  scenes["ObjectPrivilegeAuditAlarmA"] = Audits([](S& s) {
    return ObjectPrivilegeAuditAlarmA(name, nullptr, AuditedClient(), 1, &s.privileges, TRUE);
  });
  scenes["ObjectPrivilegeAuditAlarmW"] = Audits([](S& s) {
    return ObjectPrivilegeAuditAlarmW(wide, nullptr, AuditedClient(), 1, &s.privileges, TRUE);
  });
  scenes["PrivilegedServiceAuditAlarmA"] = Audits([](S& s) {
    return PrivilegedServiceAuditAlarmA(name, name, AuditedClient(), &s.privileges, TRUE);
  });
  scenes["PrivilegedServiceAuditAlarmW"] = Audits([](S& s) {
    return PrivilegedServiceAuditAlarmW(wide, wide, AuditedClient(), &s.privileges, TRUE);
  });
}

// A trail is opened, used and closed, one after the other.
void TrailScene(FaultRun& run) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/audit.log";
  const std::string key(32, 'k');
  KtlsimAuditTrail trail{};
  trail.cbSize = sizeof(trail);
  trail.fFlags = KTLSIM_AUDIT_NO_SYNC;
  trail.pszLogFile = path.c_str();
  trail.pbKey = reinterpret_cast<const unsigned char*>(key.data());
  trail.cbKey = static_cast<ULONG>(key.size());
  run.ReturnsOrCanBeRetried(SEC_E_OK, "open", [&] { return KtlsimOpenAuditTrail(&trail); });
  run.Returns(SEC_E_OK, "rotate", [] { return KtlsimRotateAuditTrail(); });
  EXPECT_EQ(KtlsimCloseAuditTrail(), SEC_E_OK);
}

}  // namespace

void AddAuthorityScenes(std::map<std::string, Scene>& scenes) {
  scenes["KtlsimLoadAccounts"] = [](FaultRun& run) {
    run.ReturnsOrCanBeRetried(SEC_E_UNKNOWN_CREDENTIALS, "load",
                              [] { return KtlsimLoadAccounts("/nowhere/accounts.toml"); });
  };
  AddAuditScenes(scenes);
  for (const char* name :
       {"KtlsimOpenAuditTrail", "KtlsimRotateAuditTrail", "KtlsimCloseAuditTrail"}) {
    scenes[name] = &TrailScene;
  }
  scenes["KtlsimFlushAuditTrail"] = [](FaultRun& run) {
    run.ReturnsOrCanBeRetried(SEC_E_INVALID_PARAMETER, "flush", &KtlsimFlushAuditTrail);
  };
  scenes["LogonUserA"] = LogsOn([](PHANDLE token) {
    return LogonUserA("alice", nullptr, "right", LOGON32_LOGON_INTERACTIVE, 0, token);
  });
  scenes["LogonUserW"] = LogsOn([](PHANDLE token) {
    return LogonUserW(u"alice", nullptr, u"right", LOGON32_LOGON_NETWORK, 0, token);
  });
}

}  // namespace ktlsim::test
