// What security/ names for itself has the values and layouts of the public headers.
#include <ktlsim/security.h>

#include <cstddef>

#include <gtest/gtest.h>

#include "kernel_sim/security/access_check.h"
#include "kernel_sim/security/sddl.h"

namespace ktlsim::security {
namespace {

template <typename Ours, typename Theirs>
constexpr bool Same(Ours ours, Theirs theirs) {
  return static_cast<std::uint32_t>(ours) == static_cast<std::uint32_t>(theirs);
}

// Layouts that are shared with a caller's memory.
static_assert(sizeof(Guid) == sizeof(GUID) && sizeof(Luid) == sizeof(LUID));
static_assert(sizeof(Sid) >= SECURITY_MAX_SID_SIZE && kSidBytesMax == SECURITY_MAX_SID_SIZE);
static_assert(sizeof(ObjectType) == sizeof(OBJECT_TYPE_LIST) &&
              offsetof(ObjectType, type) == offsetof(OBJECT_TYPE_LIST, ObjectType));
static_assert(sizeof(AbsoluteDescriptor) == sizeof(SECURITY_DESCRIPTOR) &&
              offsetof(AbsoluteDescriptor, sacl) == offsetof(SECURITY_DESCRIPTOR, Sacl));
static_assert(sizeof(RelativeDescriptor) == sizeof(SECURITY_DESCRIPTOR_RELATIVE) &&
              offsetof(RelativeDescriptor, sacl) == offsetof(SECURITY_DESCRIPTOR_RELATIVE, Sacl));
static_assert(sizeof(GenericMapping) == sizeof(GENERIC_MAPPING) &&
              offsetof(GenericMapping, execute) == offsetof(GENERIC_MAPPING, GenericExecute));
static_assert(kAclHeaderBytes == sizeof(ACL) &&
              kAcePrefixBytes == offsetof(ACCESS_ALLOWED_ACE, SidStart));
static_assert(ObjectSidOffset(ACE_OBJECT_TYPE_PRESENT | ACE_INHERITED_OBJECT_TYPE_PRESENT) ==
              offsetof(ACCESS_ALLOWED_OBJECT_ACE, SidStart));

// Rights.
static_assert(kDelete == DELETE && kReadControl == READ_CONTROL && kWriteDac == WRITE_DAC &&
              kWriteOwner == WRITE_OWNER && kSynchronize == SYNCHRONIZE);
static_assert(kAccessSystemSecurity == ACCESS_SYSTEM_SECURITY &&
              kMaximumAllowed == MAXIMUM_ALLOWED);
static_assert(kGenericAll == GENERIC_ALL && kGenericRead == GENERIC_READ &&
              kGenericWrite == GENERIC_WRITE && kGenericExecute == GENERIC_EXECUTE);
static_assert(kFileMapping.read == FILE_GENERIC_READ && kFileMapping.write == FILE_GENERIC_WRITE &&
              kFileMapping.execute == FILE_GENERIC_EXECUTE && kFileMapping.all == FILE_ALL_ACCESS);
static_assert(kKeyMapping.read == KEY_READ && kKeyMapping.write == KEY_WRITE &&
              kKeyMapping.execute == KEY_EXECUTE && kKeyMapping.all == KEY_ALL_ACCESS);

// ACEs.
static_assert(Same(AceType::kAllowed, ACCESS_ALLOWED_ACE_TYPE) &&
              Same(AceType::kDenied, ACCESS_DENIED_ACE_TYPE) &&
              Same(AceType::kAudit, SYSTEM_AUDIT_ACE_TYPE) &&
              Same(AceType::kAlarm, SYSTEM_ALARM_ACE_TYPE) &&
              Same(AceType::kAllowedCompound, ACCESS_ALLOWED_COMPOUND_ACE_TYPE) &&
              Same(AceType::kAllowedObject, ACCESS_ALLOWED_OBJECT_ACE_TYPE) &&
              Same(AceType::kDeniedObject, ACCESS_DENIED_OBJECT_ACE_TYPE) &&
              Same(AceType::kAuditObject, SYSTEM_AUDIT_OBJECT_ACE_TYPE) &&
              Same(AceType::kAlarmObject, SYSTEM_ALARM_OBJECT_ACE_TYPE) &&
              Same(AceType::kAllowedCallback, ACCESS_ALLOWED_CALLBACK_ACE_TYPE) &&
              Same(AceType::kDeniedCallback, ACCESS_DENIED_CALLBACK_ACE_TYPE) &&
              Same(AceType::kAllowedCallbackObject, ACCESS_ALLOWED_CALLBACK_OBJECT_ACE_TYPE) &&
              Same(AceType::kDeniedCallbackObject, ACCESS_DENIED_CALLBACK_OBJECT_ACE_TYPE) &&
              Same(AceType::kAuditCallback, SYSTEM_AUDIT_CALLBACK_ACE_TYPE) &&
              Same(AceType::kAlarmCallback, SYSTEM_ALARM_CALLBACK_ACE_TYPE) &&
              Same(AceType::kAuditCallbackObject, SYSTEM_AUDIT_CALLBACK_OBJECT_ACE_TYPE) &&
              Same(AceType::kAlarmCallbackObject, SYSTEM_ALARM_CALLBACK_OBJECT_ACE_TYPE) &&
              Same(AceType::kMandatoryLabel, SYSTEM_MANDATORY_LABEL_ACE_TYPE) &&
              Same(AceType::kResourceAttribute, SYSTEM_RESOURCE_ATTRIBUTE_ACE_TYPE) &&
              Same(AceType::kScopedPolicyId, SYSTEM_SCOPED_POLICY_ID_ACE_TYPE));
static_assert(kObjectInherit == OBJECT_INHERIT_ACE && kContainerInherit == CONTAINER_INHERIT_ACE &&
              kNoPropagateInherit == NO_PROPAGATE_INHERIT_ACE && kInheritOnly == INHERIT_ONLY_ACE &&
              kInherited == INHERITED_ACE && kSuccessfulAccess == SUCCESSFUL_ACCESS_ACE_FLAG &&
              kFailedAccess == FAILED_ACCESS_ACE_FLAG && kInheritFlags == VALID_INHERIT_FLAGS);
static_assert(kNoWriteUp == SYSTEM_MANDATORY_LABEL_NO_WRITE_UP &&
              kNoReadUp == SYSTEM_MANDATORY_LABEL_NO_READ_UP &&
              kNoExecuteUp == SYSTEM_MANDATORY_LABEL_NO_EXECUTE_UP);
static_assert(kAclRevision == ACL_REVISION && kAclRevisionDs == ACL_REVISION_DS &&
              kDescriptorRevision == SECURITY_DESCRIPTOR_REVISION);

// Security descriptors.
static_assert(kOwnerDefaulted == SE_OWNER_DEFAULTED && kGroupDefaulted == SE_GROUP_DEFAULTED &&
              kDaclPresent == SE_DACL_PRESENT && kDaclDefaulted == SE_DACL_DEFAULTED &&
              kSaclPresent == SE_SACL_PRESENT && kSaclDefaulted == SE_SACL_DEFAULTED &&
              kDaclAutoInheritReq == SE_DACL_AUTO_INHERIT_REQ &&
              kSaclAutoInheritReq == SE_SACL_AUTO_INHERIT_REQ &&
              kDaclAutoInherited == SE_DACL_AUTO_INHERITED &&
              kSaclAutoInherited == SE_SACL_AUTO_INHERITED && kDaclProtected == SE_DACL_PROTECTED &&
              kSaclProtected == SE_SACL_PROTECTED && kRmControlValid == SE_RM_CONTROL_VALID &&
              kSelfRelative == SE_SELF_RELATIVE);
static_assert(kOwnerInformation == OWNER_SECURITY_INFORMATION &&
              kGroupInformation == GROUP_SECURITY_INFORMATION &&
              kDaclInformation == DACL_SECURITY_INFORMATION &&
              kSaclInformation == SACL_SECURITY_INFORMATION &&
              kLabelInformation == LABEL_SECURITY_INFORMATION);

// Tokens.
static_assert(Same(TokenType::kPrimary, TokenPrimary) &&
              Same(TokenType::kImpersonation, TokenImpersonation));
static_assert(Same(ImpersonationLevel::kAnonymous, SecurityAnonymous) &&
              Same(ImpersonationLevel::kIdentification, SecurityIdentification) &&
              Same(ImpersonationLevel::kImpersonation, SecurityImpersonation) &&
              Same(ImpersonationLevel::kDelegation, SecurityDelegation));
static_assert(kGroupMandatory == SE_GROUP_MANDATORY &&
              kGroupEnabledByDefault == SE_GROUP_ENABLED_BY_DEFAULT &&
              kGroupEnabled == SE_GROUP_ENABLED && kGroupOwner == SE_GROUP_OWNER &&
              kGroupDenyOnly == SE_GROUP_USE_FOR_DENY_ONLY);
static_assert(kPrivilegeEnabledByDefault == SE_PRIVILEGE_ENABLED_BY_DEFAULT &&
              kPrivilegeEnabled == SE_PRIVILEGE_ENABLED &&
              kPrivilegeRemoved == SE_PRIVILEGE_REMOVED);
static_assert(kObjectLevelMax == ACCESS_MAX_LEVEL);

// Faults.
static_assert(Same(Fault::kNone, ERROR_SUCCESS) &&
              Same(Fault::kAccessDenied, ERROR_ACCESS_DENIED) &&
              Same(Fault::kNoMemory, ERROR_NOT_ENOUGH_MEMORY) &&
              Same(Fault::kNotSupported, ERROR_NOT_SUPPORTED) &&
              Same(Fault::kInvalidParameter, ERROR_INVALID_PARAMETER) &&
              Same(Fault::kInsufficientBuffer, ERROR_INSUFFICIENT_BUFFER) &&
              Same(Fault::kInvalidFlags, ERROR_INVALID_FLAGS) &&
              Same(Fault::kNotAllAssigned, ERROR_NOT_ALL_ASSIGNED) &&
              Same(Fault::kUnknownRevision, ERROR_UNKNOWN_REVISION) &&
              Same(Fault::kRevisionMismatch, ERROR_REVISION_MISMATCH) &&
              Same(Fault::kInvalidOwner, ERROR_INVALID_OWNER) &&
              Same(Fault::kInvalidPrimaryGroup, ERROR_INVALID_PRIMARY_GROUP) &&
              Same(Fault::kNoImpersonationToken, ERROR_NO_IMPERSONATION_TOKEN) &&
              Same(Fault::kCantDisableMandatory, ERROR_CANT_DISABLE_MANDATORY) &&
              Same(Fault::kPrivilegeNotHeld, ERROR_PRIVILEGE_NOT_HELD) &&
              Same(Fault::kNoneMapped, ERROR_NONE_MAPPED) &&
              Same(Fault::kInvalidAcl, ERROR_INVALID_ACL) &&
              Same(Fault::kInvalidSid, ERROR_INVALID_SID) &&
              Same(Fault::kInvalidSecurityDescriptor, ERROR_INVALID_SECURITY_DESCR) &&
              Same(Fault::kAllottedSpaceExceeded, ERROR_ALLOTTED_SPACE_EXCEEDED) &&
              Same(Fault::kBadImpersonationLevel, ERROR_BAD_IMPERSONATION_LEVEL) &&
              Same(Fault::kGenericNotMapped, ERROR_GENERIC_NOT_MAPPED) &&
              Same(Fault::kNoSystemResources, ERROR_NO_SYSTEM_RESOURCES));

// The names that the public header gives privileges.
TEST(PublicValuesTest, NamesOfPrivileges) {
  struct Row {
    Privilege privilege;
    const char* name;
  };
  const Row rows[] = {
      {Privilege::kCreateToken, SE_CREATE_TOKEN_NAME},
      {Privilege::kAssignPrimaryToken, SE_ASSIGNPRIMARYTOKEN_NAME},
      {Privilege::kLockMemory, SE_LOCK_MEMORY_NAME},
      {Privilege::kIncreaseQuota, SE_INCREASE_QUOTA_NAME},
      {Privilege::kMachineAccount, SE_MACHINE_ACCOUNT_NAME},
      {Privilege::kTcb, SE_TCB_NAME},
      {Privilege::kSecurity, SE_SECURITY_NAME},
      {Privilege::kTakeOwnership, SE_TAKE_OWNERSHIP_NAME},
      {Privilege::kLoadDriver, SE_LOAD_DRIVER_NAME},
      {Privilege::kSystemProfile, SE_SYSTEM_PROFILE_NAME},
      {Privilege::kSystemtime, SE_SYSTEMTIME_NAME},
      {Privilege::kProfileSingleProcess, SE_PROF_SINGLE_PROCESS_NAME},
      {Privilege::kIncreaseBasePriority, SE_INC_BASE_PRIORITY_NAME},
      {Privilege::kCreatePagefile, SE_CREATE_PAGEFILE_NAME},
      {Privilege::kCreatePermanent, SE_CREATE_PERMANENT_NAME},
      {Privilege::kBackup, SE_BACKUP_NAME},
      {Privilege::kRestore, SE_RESTORE_NAME},
      {Privilege::kShutdown, SE_SHUTDOWN_NAME},
      {Privilege::kDebug, SE_DEBUG_NAME},
      {Privilege::kAudit, SE_AUDIT_NAME},
      {Privilege::kSystemEnvironment, SE_SYSTEM_ENVIRONMENT_NAME},
      {Privilege::kChangeNotify, SE_CHANGE_NOTIFY_NAME},
      {Privilege::kRemoteShutdown, SE_REMOTE_SHUTDOWN_NAME},
      {Privilege::kUndock, SE_UNDOCK_NAME},
      {Privilege::kSyncAgent, SE_SYNC_AGENT_NAME},
      {Privilege::kEnableDelegation, SE_ENABLE_DELEGATION_NAME},
      {Privilege::kManageVolume, SE_MANAGE_VOLUME_NAME},
      {Privilege::kImpersonate, SE_IMPERSONATE_NAME},
      {Privilege::kCreateGlobal, SE_CREATE_GLOBAL_NAME},
      {Privilege::kTrustedCredManAccess, SE_TRUSTED_CREDMAN_ACCESS_NAME},
      {Privilege::kRelabel, SE_RELABEL_NAME},
      {Privilege::kIncreaseWorkingSet, SE_INC_WORKING_SET_NAME},
      {Privilege::kTimeZone, SE_TIME_ZONE_NAME},
      {Privilege::kCreateSymbolicLink, SE_CREATE_SYMBOLIC_LINK_NAME},
  };
  EXPECT_EQ(std::size(rows), kLastPrivilege - kFirstPrivilege + 1);
  for (const Row& row : rows) EXPECT_EQ(NameOf(row.privilege), row.name);
}

}  // namespace
}  // namespace ktlsim::security
