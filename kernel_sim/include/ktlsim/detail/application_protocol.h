// What was negotiated with ALPN. Apart, because a kernel-mode program declares these names itself
// unless it includes schannel.h: the driver kit's sspi.h does not have them.
#pragma once

#include <ktlsim/detail/structures.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MAX_PROTOCOL_ID_SIZE 0xFF

typedef enum _SEC_APPLICATION_PROTOCOL_NEGOTIATION_STATUS {
  SecApplicationProtocolNegotiationStatus_None = 0,
  SecApplicationProtocolNegotiationStatus_Success = 1,
  SecApplicationProtocolNegotiationStatus_SelectedClientOnly = 2
} SEC_APPLICATION_PROTOCOL_NEGOTIATION_STATUS,
    *PSEC_APPLICATION_PROTOCOL_NEGOTIATION_STATUS;

typedef struct _SecPkgContext_ApplicationProtocol {
  SEC_APPLICATION_PROTOCOL_NEGOTIATION_STATUS ProtoNegoStatus;
  SEC_APPLICATION_PROTOCOL_NEGOTIATION_EXT ProtoNegoExt;
  UCHAR ProtocolIdSize;
  UCHAR ProtocolId[MAX_PROTOCOL_ID_SIZE];
} SecPkgContext_ApplicationProtocol, *PSecPkgContext_ApplicationProtocol;

#ifdef __cplusplus
}  // extern "C"
#endif
