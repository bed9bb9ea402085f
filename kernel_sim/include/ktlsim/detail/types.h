// The basic Windows types, calling-convention words and annotations that a source file expects.
//
// Widths are Windows' (LLP64) on an LP64 system: ULONG, DWORD and LONG are 32 bits although the
// compiler's `unsigned long` has 64; WCHAR is a 16-bit UTF-16 unit. Names that POSIX or C++ sources
// use for themselves (SOCKET, min, max, interface, near, far, small, IN, OUT, ERROR, __in, __out,
// ...) are left alone.
#pragma once

#include <stddef.h>
#include <stdint.h>
#ifndef __cplusplus
#include <uchar.h>
#endif

#if __SIZEOF_POINTER__ != 8
#error "ktlsim needs a 64-bit target"
#endif

// Words of function declarations that mean nothing on Linux.
#ifndef WINAPI
#define WINAPI
#endif
#ifndef CALLBACK
#define CALLBACK
#endif
#ifndef NTAPI
#define NTAPI
#endif
#ifndef CONST
#define CONST const
#endif
#ifndef SEC_ENTRY
#define SEC_ENTRY
#endif
#ifndef SEC_FAR
#define SEC_FAR
#endif

#ifndef TRUE
#define TRUE 1
#endif
#ifndef FALSE
#define FALSE 0
#endif
#ifndef ANYSIZE_ARRAY
#define ANYSIZE_ARRAY 1
#endif
#ifndef MAX_PATH
#define MAX_PATH 260
#endif

// 16-bit character unit and literal: wchar_t where the compiler was told to make it 16 bits wide
// (-fshort-wchar), char16_t elsewhere.
#if __SIZEOF_WCHAR_T__ == 2
typedef wchar_t WCHAR;
#define KTLSIM_WIDE_(text) L##text
#else
typedef char16_t WCHAR;
#define KTLSIM_WIDE_(text) u##text
#endif
#define KTLSIM_WIDE(text) KTLSIM_WIDE_(text)

typedef void VOID;
typedef char CHAR;
typedef CHAR SEC_CHAR;
typedef WCHAR SEC_WCHAR;

// 8 and 16 bits.
typedef uint8_t BYTE;
typedef uint8_t UCHAR;
typedef uint8_t BOOLEAN;
typedef uint16_t WORD;
typedef uint16_t USHORT;
typedef int16_t SHORT;

// 32 bits. In C, where an out-parameter is a plain pointer, a write through ULONG* or DWORD* may
// meet the lower half of an `unsigned long` (see out_ulong.h): the compiler has to know that.
#ifdef __cplusplus
#define KTLSIM_MAY_ALIAS
#else
#define KTLSIM_MAY_ALIAS __attribute__((__may_alias__))
#endif
typedef uint32_t KTLSIM_MAY_ALIAS ULONG;
typedef uint32_t KTLSIM_MAY_ALIAS DWORD;
typedef int32_t LONG;
typedef int INT;
typedef int BOOL;
typedef int WINBOOL;
typedef LONG HRESULT;
typedef LONG NTSTATUS;
typedef LONG SECURITY_STATUS;
typedef unsigned int UINT;
typedef uint32_t ULONG32;
typedef UINT ALG_ID;

// 64 bits. The named ones are `long long`, as in printf("%llu"); the pointer-sized ones are the
// types of <stdint.h>, so that a size_t variable can be pointed at.
typedef unsigned long long ULONGLONG;
typedef unsigned long long DWORD64;
typedef unsigned long long ULONG64;
typedef unsigned long long UINT64;
typedef long long LONGLONG;
typedef long long INT64;
typedef uintptr_t ULONG_PTR;
typedef uintptr_t DWORD_PTR;
typedef uintptr_t UINT_PTR;
typedef intptr_t LONG_PTR;
typedef intptr_t INT_PTR;
typedef size_t SIZE_T;
typedef intptr_t SSIZE_T;
typedef ULONG_PTR HCRYPTPROV;

// Pointers and handles.
typedef void* PVOID;
typedef void* LPVOID;
typedef const void* LPCVOID;
typedef void* HANDLE;
typedef void* HCERTSTORE;
typedef void* HLOCAL;
typedef void* HWND;
typedef BYTE *PBYTE, *LPBYTE;
typedef UCHAR* PUCHAR;
typedef BOOLEAN* PBOOLEAN;
typedef WORD* PWORD;
typedef USHORT* PUSHORT;
typedef ULONG* PULONG;
typedef DWORD *LPDWORD, *PDWORD;
typedef LONG* PLONG;
typedef BOOL* PBOOL;
typedef HANDLE* PHANDLE;
typedef ULONG_PTR* PULONG_PTR;
typedef SIZE_T* PSIZE_T;

// Strings.
typedef CHAR *LPSTR, *PSTR, *PCHAR;
typedef const CHAR *LPCSTR, *PCSTR;
typedef WCHAR *LPWSTR, *PWSTR, *PWCHAR;
typedef const WCHAR *LPCWSTR, *PCWSTR;

#ifdef UNICODE
typedef WCHAR TCHAR;
typedef LPWSTR LPTSTR;
typedef LPCWSTR LPCTSTR;
typedef SEC_WCHAR* SECURITY_PSTR;
typedef const SEC_WCHAR* SECURITY_PCSTR;
#define KTLSIM_TEXT(text) KTLSIM_WIDE(text)
#else
typedef CHAR TCHAR;
typedef LPSTR LPTSTR;
typedef LPCSTR LPCTSTR;
typedef SEC_CHAR* SECURITY_PSTR;
typedef const SEC_CHAR* SECURITY_PCSTR;
#define KTLSIM_TEXT(text) text
#endif
#ifndef TEXT
#define TEXT(text) KTLSIM_TEXT(text)
#endif
#ifndef SEC_TEXT
#define SEC_TEXT(text) KTLSIM_TEXT(text)
#endif

typedef union _LARGE_INTEGER {
  __extension__ struct {
    DWORD LowPart;
    LONG HighPart;
  };
  struct {
    DWORD LowPart;
    LONG HighPart;
  } u;
  LONGLONG QuadPart;
} LARGE_INTEGER, *PLARGE_INTEGER;

typedef struct _FILETIME {
  DWORD dwLowDateTime;
  DWORD dwHighDateTime;
} FILETIME, *PFILETIME, *LPFILETIME;

typedef struct _SYSTEMTIME {
  WORD wYear;
  WORD wMonth;
  WORD wDayOfWeek;
  WORD wDay;
  WORD wHour;
  WORD wMinute;
  WORD wSecond;
  WORD wMilliseconds;
} SYSTEMTIME, *PSYSTEMTIME, *LPSYSTEMTIME;

typedef struct _GUID {
  ULONG Data1;
  USHORT Data2;
  USHORT Data3;
  UCHAR Data4[8];
} GUID;

typedef struct _LUID {
  DWORD LowPart;
  LONG HighPart;
} LUID, *PLUID;

// Length and MaximumLength count bytes, and Buffer need not end in a null character.
typedef struct _UNICODE_STRING {
  USHORT Length;
  USHORT MaximumLength;
  PWSTR Buffer;
} UNICODE_STRING, *PUNICODE_STRING;
typedef const UNICODE_STRING* PCUNICODE_STRING;
typedef UNICODE_STRING SECURITY_STRING, *PSECURITY_STRING;

typedef struct _STRING {
  USHORT Length;
  USHORT MaximumLength;
  PCHAR Buffer;
} STRING, *PSTRING, ANSI_STRING, *PANSI_STRING;

typedef LARGE_INTEGER SECURITY_INTEGER, *PSECURITY_INTEGER;
// 100 ns units since 1601, in local time.
typedef SECURITY_INTEGER TimeStamp;
typedef SECURITY_INTEGER* PTimeStamp;
