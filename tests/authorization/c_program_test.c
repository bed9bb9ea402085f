// A program in C, written as for Windows: it makes an object's descriptor and checks accesses to
// it.
#include <errhandlingapi.h>
#include <handleapi.h>
#include <processthreadsapi.h>
#include <sddl.h>
#include <securitybaseapi.h>
#include <stdlib.h>
#include <string.h>
#include <winbase.h>

// The line at which the program gave up; 0: it did not.
#define TRY(condition)                 \
  do {                                 \
    if (!(condition)) return __LINE__; \
  } while (0)

static int MakeDescriptor(PSECURITY_DESCRIPTOR* relative) {
  SID_IDENTIFIER_AUTHORITY world = {SECURITY_WORLD_SID_AUTHORITY};
  SID_IDENTIFIER_AUTHORITY nt = {SECURITY_NT_AUTHORITY};
  PSID everyone = NULL;
  PSID administrators = NULL;
  SECURITY_DESCRIPTOR absolute;
  DWORD list_bytes;
  DWORD bytes = 0;
  PACL list;
  TRY(AllocateAndInitializeSid(&world, 1, SECURITY_WORLD_RID, 0, 0, 0, 0, 0, 0, 0, &everyone));
  TRY(AllocateAndInitializeSid(&nt, 2, SECURITY_BUILTIN_DOMAIN_RID, DOMAIN_ALIAS_RID_ADMINS, 0, 0,
                               0, 0, 0, 0, &administrators));
  list_bytes = (DWORD)sizeof(ACL) + (DWORD)sizeof(ACCESS_ALLOWED_ACE) - (DWORD)sizeof(DWORD) +
               GetLengthSid(everyone);
  list = (PACL)LocalAlloc(LPTR, list_bytes);
  TRY(list != NULL);
  TRY(InitializeAcl(list, list_bytes, ACL_REVISION));
  TRY(AddAccessAllowedAce(list, ACL_REVISION, FILE_GENERIC_READ, everyone));
  TRY(InitializeSecurityDescriptor(&absolute, SECURITY_DESCRIPTOR_REVISION));
  TRY(SetSecurityDescriptorOwner(&absolute, administrators, FALSE));
  TRY(SetSecurityDescriptorGroup(&absolute, administrators, FALSE));
  TRY(SetSecurityDescriptorDacl(&absolute, TRUE, list, FALSE));
  TRY(!MakeSelfRelativeSD(&absolute, NULL, &bytes));
  TRY(GetLastError() == ERROR_INSUFFICIENT_BUFFER);
  *relative = LocalAlloc(LPTR, bytes);
  TRY(MakeSelfRelativeSD(&absolute, *relative, &bytes));
  TRY(LocalFree(list) == NULL);
  TRY(FreeSid(everyone) == NULL && FreeSid(administrators) == NULL);
  return 0;
}

static int CompareText(PSECURITY_DESCRIPTOR descriptor) {
  PSECURITY_DESCRIPTOR parsed = NULL;
  unsigned long bytes = 0;
  LPSTR text = NULL;
  ULONG units = 0;
  TRY(ConvertSecurityDescriptorToStringSecurityDescriptorA(
      descriptor, SDDL_REVISION_1,
      OWNER_SECURITY_INFORMATION | GROUP_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION, &text,
      &units));
  TRY(strcmp(text, "O:BAG:BAD:(A;;FR;;;WD)") == 0 && units == strlen(text) + 1);
  TRY(ConvertStringSecurityDescriptorToSecurityDescriptorA(text, SDDL_REVISION_1, &parsed, &bytes));
  TRY(bytes == GetSecurityDescriptorLength(descriptor));
  TRY(memcmp(parsed, descriptor, bytes) == 0);
  TRY(LocalFree(parsed) == NULL && LocalFree(text) == NULL);
  return 0;
}

static int CheckAccess(PSECURITY_DESCRIPTOR descriptor, HANDLE client) {
  GENERIC_MAPPING mapping = {FILE_GENERIC_READ, FILE_GENERIC_WRITE, FILE_GENERIC_EXECUTE,
                             FILE_ALL_ACCESS};
  PRIVILEGE_SET privileges;
  DWORD bytes = sizeof(privileges);
  DWORD desired = GENERIC_READ;
  DWORD granted = 0;
  BOOL allowed = FALSE;
  MapGenericMask(&desired, &mapping);
  TRY(AccessCheck(descriptor, client, desired, &mapping, &privileges, &bytes, &granted, &allowed));
  TRY(allowed && granted == FILE_GENERIC_READ);
  TRY(AccessCheck(descriptor, client, DELETE, &mapping, &privileges, &bytes, &granted, &allowed));
  TRY(!allowed && GetLastError() == ERROR_ACCESS_DENIED);
  return 0;
}

static int EnablePrivilege(HANDLE token) {
  TOKEN_PRIVILEGES wanted;
  BOOL held = FALSE;
  PRIVILEGE_SET required;
  wanted.PrivilegeCount = 1;
  wanted.Privileges[0].Attributes = SE_PRIVILEGE_ENABLED;
  TRY(LookupPrivilegeValueA(NULL, "SeChangeNotifyPrivilege", &wanted.Privileges[0].Luid));
  TRY(AdjustTokenPrivileges(token, FALSE, &wanted, 0, NULL, NULL));
  TRY(GetLastError() == ERROR_SUCCESS);
  required.PrivilegeCount = 1;
  required.Control = PRIVILEGE_SET_ALL_NECESSARY;
  required.Privilege[0] = wanted.Privileges[0];
  TRY(PrivilegeCheck(token, &required, &held) && held);
  return 0;
}

static int AskUser(void) {
  DWORD bytes = 0;
  PTOKEN_USER user;
  TRY(!GetTokenInformation(GetCurrentProcessToken(), TokenUser, NULL, 0, &bytes));
  TRY(GetLastError() == ERROR_INSUFFICIENT_BUFFER);
  user = (PTOKEN_USER)malloc(bytes);
  TRY(user != NULL);
  TRY(GetTokenInformation(GetCurrentThreadEffectiveToken(), TokenUser, user, bytes, &bytes));
  TRY(IsValidSid(user->User.Sid));
  free(user);
  return 0;
}

int RunCProgram(void);
int RunCProgram(void) {
  PSECURITY_DESCRIPTOR descriptor = NULL;
  HANDLE process = NULL;
  HANDLE client = NULL;
  int line = MakeDescriptor(&descriptor);
  if (line == 0) line = CompareText(descriptor);
  if (line == 0) line = AskUser();
  if (line != 0) return line;
  TRY(OpenProcessToken(GetCurrentProcess(), TOKEN_DUPLICATE | TOKEN_QUERY, &process));
  TRY(DuplicateTokenEx(process, TOKEN_ALL_ACCESS, NULL, SecurityImpersonation, TokenImpersonation,
                       &client));
  line = CheckAccess(descriptor, client);
  if (line == 0) line = EnablePrivilege(client);
  TRY(CloseHandle(client) && CloseHandle(process));
  TRY(LocalFree(descriptor) == NULL);
  return line;
}
