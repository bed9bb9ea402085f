// InitSecurityInterface of kernel mode: the table with counted strings, version 5. The A table has
// none and is that of user mode.
//
// The one translation unit of the library in kernel mode: the compiler compares the kernel-mode
// declarations with the members here.
#define SECURITY_KERNEL
#include <sspi.h>

namespace {

SecurityFunctionTableW MakeTable() {
  SecurityFunctionTableW table{};
  table.dwVersion = SECURITY_SUPPORT_PROVIDER_INTERFACE_VERSION_5;
  table.EnumerateSecurityPackagesW = &EnumerateSecurityPackagesW;
  table.QueryCredentialsAttributesW = &QueryCredentialsAttributesW;
  table.AcquireCredentialsHandleW = &AcquireCredentialsHandleW;
  table.FreeCredentialsHandle = &FreeCredentialsHandle;
  table.InitializeSecurityContextW = &InitializeSecurityContextW;
  table.AcceptSecurityContext = &AcceptSecurityContext;
  table.CompleteAuthToken = &CompleteAuthToken;
  table.DeleteSecurityContext = &DeleteSecurityContext;
  table.ApplyControlToken = &ApplyControlToken;
  table.QueryContextAttributesW = &QueryContextAttributesW;
  table.ImpersonateSecurityContext = &ImpersonateSecurityContext;
  table.RevertSecurityContext = &RevertSecurityContext;
  table.MakeSignature = &MakeSignature;
  table.VerifySignature = &VerifySignature;
  table.FreeContextBuffer = &FreeContextBuffer;
  table.QuerySecurityPackageInfoW = &QuerySecurityPackageInfoW;
  table.ExportSecurityContext = &ExportSecurityContext;
  table.ImportSecurityContextW = &ImportSecurityContextW;
  table.AddCredentialsW = &AddCredentialsW;
  table.QuerySecurityContextToken = &QuerySecurityContextToken;
  table.EncryptMessage = &EncryptMessage;
  table.DecryptMessage = &DecryptMessage;
  table.SetContextAttributesW = &SetContextAttributesW;
  table.SetCredentialsAttributesW = &SetCredentialsAttributesW;
  table.QueryContextAttributesExW = &QueryContextAttributesExW;
  table.QueryCredentialsAttributesExW = &QueryCredentialsAttributesExW;
  return table;
}

}  // namespace

extern "C" PSecurityFunctionTableW InitSecurityInterfaceW(void) {
  static SecurityFunctionTableW table = MakeTable();
  return &table;
}
