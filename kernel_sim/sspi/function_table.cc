// InitSecurityInterface: the functions as two static tables, version 5.

#include <sspi.h>

namespace {

SecurityFunctionTableA MakeTableA() {
  SecurityFunctionTableA table{};
  table.dwVersion = SECURITY_SUPPORT_PROVIDER_INTERFACE_VERSION_5;
  table.EnumerateSecurityPackagesA = &EnumerateSecurityPackagesA;
  table.QueryCredentialsAttributesA = &QueryCredentialsAttributesA;
  table.AcquireCredentialsHandleA = &AcquireCredentialsHandleA;
  table.FreeCredentialHandle = &FreeCredentialsHandle;
  table.InitializeSecurityContextA = &InitializeSecurityContextA;
  table.AcceptSecurityContext = &AcceptSecurityContext;
  table.CompleteAuthToken = &CompleteAuthToken;
  table.DeleteSecurityContext = &DeleteSecurityContext;
  table.ApplyControlToken = &ApplyControlToken;
  table.QueryContextAttributesA = &QueryContextAttributesA;
  table.ImpersonateSecurityContext = &ImpersonateSecurityContext;
  table.RevertSecurityContext = &RevertSecurityContext;
  table.MakeSignature = &MakeSignature;
  table.VerifySignature = &VerifySignature;
  table.FreeContextBuffer = &FreeContextBuffer;
  table.QuerySecurityPackageInfoA = &QuerySecurityPackageInfoA;
  table.ExportSecurityContext = &ExportSecurityContext;
  table.ImportSecurityContextA = &ImportSecurityContextA;
  table.AddCredentialsA = &AddCredentialsA;
  table.QuerySecurityContextToken = &QuerySecurityContextToken;
  table.EncryptMessage = &EncryptMessage;
  table.DecryptMessage = &DecryptMessage;
  table.SetContextAttributesA = &SetContextAttributesA;
  table.SetCredentialsAttributesA = &SetCredentialsAttributesA;
  table.ChangeAccountPasswordA = &ChangeAccountPasswordA;
  table.QueryContextAttributesExA = &QueryContextAttributesExA;
  table.QueryCredentialsAttributesExA = &QueryCredentialsAttributesExA;
  return table;
}

SecurityFunctionTableW MakeTableW() {
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
  table.ChangeAccountPasswordW = &ChangeAccountPasswordW;
  table.QueryContextAttributesExW = &QueryContextAttributesExW;
  table.QueryCredentialsAttributesExW = &QueryCredentialsAttributesExW;
  return table;
}

}  // namespace

extern "C" {

PSecurityFunctionTableA InitSecurityInterfaceA(void) {
  static SecurityFunctionTableA table = MakeTableA();
  return &table;
}

PSecurityFunctionTableW InitSecurityInterfaceW(void) {
  static SecurityFunctionTableW table = MakeTableW();
  return &table;
}

}  // extern "C"
