// Scenes of SIDs, access control lists, security descriptors and names.

#include <ktlsim/security.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include <gtest/gtest.h>

#include "tests/faults/authorization_scenes.h"

namespace ktlsim::test {
namespace {

// A call that gives memory: TRUE, or no memory, and then TRUE.
Scene Gives(std::function<BOOL()> call) {
  return [call = std::move(call)](FaultRun& run) {
    run.ReturnsOrCanBeRetried(SEC_E_OK, "the call", [&] {
      if (call() == TRUE) return SEC_E_OK;
      return KtlsimGetLastError() == ERROR_NOT_ENOUGH_MEMORY ? SEC_E_INSUFFICIENT_MEMORY
                                                             : SEC_E_INTERNAL_ERROR;
    });
  };
}
// A call that does not fail.
Scene Holds(std::function<bool()> call) {
  return Gives([call = std::move(call)] { return call() ? TRUE : FALSE; });
}

BOOL FreeAfter(BOOL done, HLOCAL block) {
  EXPECT_EQ(done == TRUE, block != nullptr);
  EXPECT_EQ(LocalFree(block), nullptr);
  return done;
}

// A caller's objects.
struct Objects {
  Objects() {
    EXPECT_EQ(InitializeAcl(list(), sizeof(memory), ACL_REVISION), TRUE);
    EXPECT_EQ(AddAccessAllowedAce(list(), ACL_REVISION, 1, &everybody), TRUE);
  }
  PACL list() { return reinterpret_cast<PACL>(memory.data()); }

  SID everybody = {1, 1, {{0, 0, 0, 0, 0, 1}}, {0}};
  SID label = {1, 1, {{0, 0, 0, 0, 0, 16}}, {4096}};
  SID_IDENTIFIER_AUTHORITY authority = {{0, 0, 0, 0, 0, 5}};
  GUID type = {1, 2, 3, {4, 5, 6, 7, 8, 9, 10, 11}};
  alignas(8) std::array<std::byte, 256> memory{};
  SECURITY_DESCRIPTOR descriptor = {1, 0, 0, &everybody, &everybody, nullptr, nullptr};
};

void AddMemory(std::map<std::string, Scene>& scenes) {
  for (const char* name : {"LocalAlloc", "LocalFree"}) {
    scenes[name] = Gives([] {
      const HLOCAL block = LocalAlloc(LPTR, 10);
      return FreeAfter(block != nullptr ? TRUE : FALSE, block);
    });
  }
  for (const char* name : {"KtlsimLocalAlloc", "KtlsimLocalFree"}) {
    scenes[name] = Gives([] {
      const HLOCAL block = KtlsimLocalAlloc(LPTR, 10);
      EXPECT_EQ(KtlsimLocalFree(block), nullptr);
      return block != nullptr ? TRUE : FALSE;
    });
  }
}

void AddSids(std::map<std::string, Scene>& scenes) {
  for (const char* name : {"AllocateAndInitializeSid", "FreeSid"}) {
    scenes[name] = Gives([] {
      Objects objects;
      PSID sid = nullptr;
      const BOOL made =
          AllocateAndInitializeSid(&objects.authority, 1, 18, 0, 0, 0, 0, 0, 0, 0, &sid);
      EXPECT_EQ(FreeSid(sid), nullptr);
      return made;
    });
  }
  for (const char* name :
       {"InitializeSid", "GetSidSubAuthority", "GetSidSubAuthorityCount",
        "GetSidIdentifierAuthority", "GetSidLengthRequired", "GetLengthSid", "IsValidSid"}) {
    scenes[name] = Holds([] {
      Objects objects;
      SID sid{};
      if (InitializeSid(&sid, &objects.authority, 1) != TRUE) return false;
      *GetSidSubAuthority(&sid, 0) = 18;
      return *GetSidSubAuthorityCount(&sid) == 1 &&
             GetSidIdentifierAuthority(&sid)->Value[5] == 5 &&
             GetSidLengthRequired(1) == GetLengthSid(&sid) && IsValidSid(&sid) == TRUE;
    });
  }
  for (const char* name :
       {"EqualSid", "EqualPrefixSid", "CopySid", "IsWellKnownSid", "CreateWellKnownSid"}) {
    scenes[name] = Holds([] {
      Objects objects;
      SID sid{};
      DWORD bytes = sizeof(sid);
      return CreateWellKnownSid(WinWorldSid, nullptr, &sid, &bytes) == TRUE &&
             EqualSid(&sid, &objects.everybody) == TRUE &&
             EqualPrefixSid(&sid, &objects.everybody) == TRUE &&
             CopySid(sizeof(sid), &sid, &objects.everybody) == TRUE &&
             IsWellKnownSid(&sid, WinWorldSid) == TRUE;
    });
  }
  for (const char* name : {"EqualDomainSid", "GetWindowsAccountDomainSid"}) {
    scenes[name] = Holds([] {
      struct {
        SID sid = {1, 5, {{0, 0, 0, 0, 0, 5}}, {21}};
        std::array<DWORD, 4> rest = {1, 2, 3, 1001};
      } account;
      std::array<std::byte, 24> domain{};
      DWORD bytes = sizeof(domain);
      BOOL equal = FALSE;
      return GetWindowsAccountDomainSid(&account, domain.data(), &bytes) == TRUE &&
             EqualDomainSid(&account, domain.data(), &equal) == TRUE && equal == TRUE;
    });
  }
}

void AddSidTexts(std::map<std::string, Scene>& scenes) {
  scenes["ConvertSidToStringSidA"] = Gives([] {
    Objects objects;
    LPSTR text = nullptr;
    const BOOL done = ConvertSidToStringSidA(&objects.everybody, &text);
    return FreeAfter(done, text);
  });
  scenes["ConvertSidToStringSidW"] = Gives([] {
    Objects objects;
    LPWSTR text = nullptr;
    const BOOL done = ConvertSidToStringSidW(&objects.everybody, &text);
    return FreeAfter(done, text);
  });
  scenes["ConvertStringSidToSidA"] = Gives([] {
    PSID sid = nullptr;
    const BOOL done = ConvertStringSidToSidA("S-1-5-21-1-2-3-1001", &sid);
    return FreeAfter(done, sid);
  });
  scenes["ConvertStringSidToSidW"] = Gives([] {
    PSID sid = nullptr;
    const BOOL done = ConvertStringSidToSidW(u"S-1-5-21-1-2-3-1001", &sid);
    return FreeAfter(done, sid);
  });
}

void AddLists(std::map<std::string, Scene>& scenes) {
  for (const char* name : {"InitializeAcl", "IsValidAcl", "AddAccessAllowedAce",
                           "AddAccessAllowedAceEx", "AddAccessDeniedAce", "AddAccessDeniedAceEx",
                           "AddAuditAccessAce", "AddAuditAccessAceEx", "AddMandatoryAce"}) {
    scenes[name] = Holds([] {
      Objects objects;
      PACL list = objects.list();
      PSID sid = &objects.everybody;
      return InitializeAcl(list, 256, ACL_REVISION) == TRUE &&
             AddAccessAllowedAce(list, ACL_REVISION, 1, sid) == TRUE &&
             AddAccessAllowedAceEx(list, ACL_REVISION, 0, 1, sid) == TRUE &&
             AddAccessDeniedAce(list, ACL_REVISION, 1, sid) == TRUE &&
             AddAccessDeniedAceEx(list, ACL_REVISION, 0, 1, sid) == TRUE &&
             AddAuditAccessAce(list, ACL_REVISION, 1, sid, TRUE, TRUE) == TRUE &&
             AddAuditAccessAceEx(list, ACL_REVISION, 0, 1, sid, TRUE, TRUE) == TRUE &&
             AddMandatoryAce(list, ACL_REVISION, 0, 1, &objects.label) == TRUE &&
             IsValidAcl(list) == TRUE;
    });
  }
  for (const char* name :
       {"AddAccessAllowedObjectAce", "AddAccessDeniedObjectAce", "AddAuditAccessObjectAce"}) {
    scenes[name] = Holds([] {
      Objects objects;
      PACL list = objects.list();
      PSID sid = &objects.everybody;
      return AddAccessAllowedObjectAce(list, ACL_REVISION_DS, 0, 1, &objects.type, nullptr, sid) ==
                 TRUE &&
             AddAccessDeniedObjectAce(list, ACL_REVISION_DS, 0, 1, &objects.type, nullptr, sid) ==
                 TRUE &&
             AddAuditAccessObjectAce(list, ACL_REVISION_DS, 0, 1, &objects.type, nullptr, sid, TRUE,
                                     TRUE) == TRUE;
    });
  }
  scenes["AddAce"] = Gives([] {
    Objects objects;
    return AddAce(objects.list(), ACL_REVISION, 0, objects.memory.data() + 8, 20);
  });
  for (const char* name :
       {"DeleteAce", "GetAce", "FindFirstFreeAce", "GetAclInformation", "SetAclInformation"}) {
    scenes[name] = Holds([] {
      Objects objects;
      void* ace = nullptr;
      ACL_REVISION_INFORMATION revision{};
      return GetAce(objects.list(), 0, &ace) == TRUE &&
             FindFirstFreeAce(objects.list(), &ace) == TRUE &&
             GetAclInformation(objects.list(), &revision, sizeof(revision),
                               AclRevisionInformation) == TRUE &&
             SetAclInformation(objects.list(), &revision, sizeof(revision),
                               AclRevisionInformation) == TRUE &&
             DeleteAce(objects.list(), 0) == TRUE;
    });
  }
}

// Setting and getting parts allocates nothing.
bool SetParts(Objects& objects) {
  PSECURITY_DESCRIPTOR const at = &objects.descriptor;
  UCHAR manager = 1;
  return InitializeSecurityDescriptor(at, SECURITY_DESCRIPTOR_REVISION) == TRUE &&
         SetSecurityDescriptorOwner(at, &objects.everybody, FALSE) == TRUE &&
         SetSecurityDescriptorGroup(at, &objects.everybody, FALSE) == TRUE &&
         SetSecurityDescriptorDacl(at, TRUE, objects.list(), FALSE) == TRUE &&
         SetSecurityDescriptorSacl(at, FALSE, nullptr, FALSE) == TRUE &&
         SetSecurityDescriptorControl(at, SE_DACL_PROTECTED, SE_DACL_PROTECTED) == TRUE &&
         SetSecurityDescriptorRMControl(at, &manager) == ERROR_SUCCESS;
}

bool GetParts(Objects& objects) {
  PSECURITY_DESCRIPTOR const at = &objects.descriptor;
  PSID sid = nullptr;
  PACL list = nullptr;
  BOOL present = FALSE;
  BOOL defaulted = FALSE;
  SECURITY_DESCRIPTOR_CONTROL control = 0;
  DWORD revision = 0;
  UCHAR manager = 0;
  return GetSecurityDescriptorOwner(at, &sid, &defaulted) == TRUE &&
         GetSecurityDescriptorGroup(at, &sid, &defaulted) == TRUE &&
         GetSecurityDescriptorDacl(at, &present, &list, &defaulted) == TRUE &&
         GetSecurityDescriptorSacl(at, &present, &list, &defaulted) == TRUE &&
         GetSecurityDescriptorControl(at, &control, &revision) == TRUE &&
         GetSecurityDescriptorRMControl(at, &manager) == ERROR_SUCCESS &&
         GetSecurityDescriptorLength(at) > 20 && IsValidSecurityDescriptor(at) == TRUE;
}

void AddDescriptors(std::map<std::string, Scene>& scenes) {
  for (const char* name :
       {"InitializeSecurityDescriptor", "IsValidSecurityDescriptor", "GetSecurityDescriptorLength",
        "SetSecurityDescriptorOwner", "SetSecurityDescriptorGroup", "SetSecurityDescriptorDacl",
        "SetSecurityDescriptorSacl", "SetSecurityDescriptorControl", "GetSecurityDescriptorOwner",
        "GetSecurityDescriptorGroup", "GetSecurityDescriptorDacl", "GetSecurityDescriptorSacl",
        "GetSecurityDescriptorControl", "GetSecurityDescriptorRMControl",
        "SetSecurityDescriptorRMControl"}) {
    scenes[name] = Holds([] {
      Objects objects;
      return SetParts(objects) && GetParts(objects);
    });
  }
  scenes["MakeSelfRelativeSD"] = Gives([] {
    Objects objects;
    std::array<std::byte, 128> relative{};
    DWORD bytes = sizeof(relative);
    return MakeSelfRelativeSD(&objects.descriptor, relative.data(), &bytes);
  });
  scenes["MakeAbsoluteSD"] = Gives([] {
    SECURITY_DESCRIPTOR_RELATIVE relative = {1, 0, SE_SELF_RELATIVE, 0, 0, 0, 0};
    SECURITY_DESCRIPTOR absolute{};
    std::array<DWORD, 5> sizes = {sizeof(absolute)};
    return MakeAbsoluteSD(&relative, &absolute, sizes.data(), nullptr, &sizes[1], nullptr,
                          &sizes[2], nullptr, &sizes[3], nullptr, &sizes[4]);
  });
}

void AddDescriptorTexts(std::map<std::string, Scene>& scenes) {
  scenes["ConvertStringSecurityDescriptorToSecurityDescriptorA"] = Gives([] {
    PSECURITY_DESCRIPTOR made = nullptr;
    const BOOL done = ConvertStringSecurityDescriptorToSecurityDescriptorA(
        "O:BAG:BAD:(A;;GA;;;WD)", SDDL_REVISION_1, &made, nullptr);
    return FreeAfter(done, made);
  });
  scenes["ConvertStringSecurityDescriptorToSecurityDescriptorW"] = Gives([] {
    PSECURITY_DESCRIPTOR made = nullptr;
    const BOOL done = ConvertStringSecurityDescriptorToSecurityDescriptorW(
        u"O:BAG:BAD:(A;;GA;;;WD)", SDDL_REVISION_1, &made, nullptr);
    return FreeAfter(done, made);
  });
  scenes["ConvertSecurityDescriptorToStringSecurityDescriptorA"] = Gives([] {
    Objects objects;
    LPSTR text = nullptr;
    const BOOL done = ConvertSecurityDescriptorToStringSecurityDescriptorA(
        &objects.descriptor, SDDL_REVISION_1, OWNER_SECURITY_INFORMATION, &text, nullptr);
    return FreeAfter(done, text);
  });
  scenes["ConvertSecurityDescriptorToStringSecurityDescriptorW"] = Gives([] {
    Objects objects;
    LPWSTR text = nullptr;
    const BOOL done = ConvertSecurityDescriptorToStringSecurityDescriptorW(
        &objects.descriptor, SDDL_REVISION_1, OWNER_SECURITY_INFORMATION, &text, nullptr);
    return FreeAfter(done, text);
  });
}

template <typename Unit>
struct NameRooms {
  std::array<Unit, 32> name{};
  DWORD name_units = 32;
  std::array<Unit, 32> domain{};
  DWORD domain_units = 32;
  SID_NAME_USE use = SidTypeUnknown;
};

void AddPrivilegeNames(std::map<std::string, Scene>& scenes) {
  scenes["LookupPrivilegeValueA"] = Gives([] {
    LUID luid{};
    return LookupPrivilegeValueA(nullptr, "SeAssignPrimaryTokenPrivilege", &luid);
  });
  scenes["LookupPrivilegeValueW"] = Gives([] {
    LUID luid{};
    return LookupPrivilegeValueW(nullptr, u"SeAssignPrimaryTokenPrivilege", &luid);
  });
  scenes["LookupPrivilegeNameA"] = Gives([] {
    NameRooms<CHAR> rooms;
    LUID luid = {3, 0};
    return LookupPrivilegeNameA(nullptr, &luid, rooms.name.data(), &rooms.name_units);
  });
  scenes["LookupPrivilegeNameW"] = Gives([] {
    NameRooms<WCHAR> rooms;
    LUID luid = {3, 0};
    return LookupPrivilegeNameW(nullptr, &luid, rooms.name.data(), &rooms.name_units);
  });
  scenes["AllocateLocallyUniqueId"] = Holds([] {
    LUID luid{};
    return AllocateLocallyUniqueId(&luid) == TRUE;
  });
}

// Accounts that need nothing of the system: the C library does not say that memory is why it finds
// nobody.
void AddAccountNames(std::map<std::string, Scene>& scenes) {
  scenes["LookupAccountSidA"] = Gives([] {
    Objects objects;
    NameRooms<CHAR> rooms;
    return LookupAccountSidA(nullptr, &objects.label, rooms.name.data(), &rooms.name_units,
                             rooms.domain.data(), &rooms.domain_units, &rooms.use);
  });
  scenes["LookupAccountSidW"] = Gives([] {
    Objects objects;
    NameRooms<WCHAR> rooms;
    return LookupAccountSidW(nullptr, &objects.label, rooms.name.data(), &rooms.name_units,
                             rooms.domain.data(), &rooms.domain_units, &rooms.use);
  });
  scenes["LookupAccountNameA"] = Gives([] {
    NameRooms<CHAR> rooms;
    std::array<std::byte, 68> sid{};
    DWORD bytes = sizeof(sid);
    return LookupAccountNameA(nullptr, "Low Mandatory Level", sid.data(), &bytes,
                              rooms.domain.data(), &rooms.domain_units, &rooms.use);
  });
  scenes["LookupAccountNameW"] = Gives([] {
    NameRooms<WCHAR> rooms;
    std::array<std::byte, 68> sid{};
    DWORD bytes = sizeof(sid);
    return LookupAccountNameW(nullptr, u"Low Mandatory Level", sid.data(), &bytes,
                              rooms.domain.data(), &rooms.domain_units, &rooms.use);
  });
  scenes["GetUserNameA"] = [](FaultRun& run) {
    EXPECT_EQ(ImpersonateAnonymousToken(GetCurrentThread()), TRUE);
    Gives([] {
      NameRooms<CHAR> rooms;
      return GetUserNameA(rooms.name.data(), &rooms.name_units);
    })(run);
    EXPECT_EQ(RevertToSelf(), TRUE);
  };
  scenes["GetUserNameW"] = [](FaultRun& run) {
    EXPECT_EQ(ImpersonateAnonymousToken(GetCurrentThread()), TRUE);
    Gives([] {
      NameRooms<WCHAR> rooms;
      return GetUserNameW(rooms.name.data(), &rooms.name_units);
    })(run);
    EXPECT_EQ(RevertToSelf(), TRUE);
  };
}

}  // namespace

void AddObjectScenes(std::map<std::string, Scene>& scenes) {
  AddMemory(scenes);
  AddSids(scenes);
  AddSidTexts(scenes);
  AddLists(scenes);
  AddDescriptors(scenes);
  AddDescriptorTexts(scenes);
  AddPrivilegeNames(scenes);
  AddAccountNames(scenes);
}

}  // namespace ktlsim::test
