#include "kernel_sim/authorization/handles.h"

#include <pthread.h>

#include <new>

#include "kernel_sim/base/never_destroyed.h"

namespace ktlsim::authorization {
namespace {

using executive::Object;
using executive::ObjectTable;
using executive::Reference;
using security::Fault;

// The table's index is below 2^23; the kind lies above it.
constexpr unsigned kKindShift = 24;
constexpr std::uint64_t kKindMask = std::uint64_t{0xff} << kKindShift;
static_assert(ObjectTable::kCapacityMax < (1U << kKindShift));

// No thread may be changing the table while the process forks.
struct Table {
  Table() { pthread_atfork(&Lock, &Unlock, &Unlock); }
  static void Lock();
  static void Unlock();

  ObjectTable objects;
};

Table& Handles() {
  static NeverDestroyed<Table> table;
  return table.get();
}

// Its handlers precede those of whoever uses it while holding locks of its own.
[[maybe_unused]] const Table& handles_from_the_start = Handles();  // NOLINT(cert-err58-cpp)

KTLSIM_NO_THREAD_SAFETY void Table::Lock() { Handles().objects.lock(); }
KTLSIM_NO_THREAD_SAFETY void Table::Unlock() { Handles().objects.unlock(); }

std::uint64_t KindOf(HandleKind kind) {
  return std::uint64_t{static_cast<std::uint8_t>(kind)} << kKindShift;
}

ObjectTable::Handle PlaceOf(HandleValue handle) {
  return reinterpret_cast<std::uintptr_t>(handle) & ~kKindMask;
}

// Null: dead, or its kind is another one than the value says.
Reference<HandleObject> Find(HandleValue handle) {
  const auto value = reinterpret_cast<std::uintptr_t>(handle);
  Reference<HandleObject> object(
      static_cast<HandleObject*>(Handles().objects.Lookup(PlaceOf(handle))));
  if (!object || (value & kKindMask) != KindOf(object->kind())) return {};
  return object;
}

// False: somebody else was first.
bool Close(HandleValue handle) {
  Object* object = nullptr;
  if (!Handles().objects.Close(PlaceOf(handle), &object)) return false;
  object->Release();
  return true;
}

}  // namespace

Fault OpenHandle(std::unique_ptr<HandleObject> object, HandleValue* handle) {
  const HandleKind kind = object->kind();
  std::unique_ptr<Object> kept = std::move(object);
  const ObjectTable::Handle place = Handles().objects.Insert(kept);
  if (place == 0) return Fault::kNoMemory;
  *handle = reinterpret_cast<HandleValue>(place | KindOf(kind));
  return Fault::kNone;
}

Fault OpenToken(security::Token::Ref token, security::AccessMask access, HandleValue* handle,
                HandleOwner owner) {
  std::unique_ptr<HandleObject> object(new (std::nothrow)
                                           TokenObject(std::move(token), access, owner));
  return object != nullptr ? OpenHandle(std::move(object), handle) : Fault::kNoMemory;
}

Reference<TokenObject> FindToken(HandleValue handle) {
  Reference<HandleObject> object = Find(handle);
  if (!object || object->kind() != HandleKind::kToken) return {};
  return Reference<TokenObject>(static_cast<TokenObject*>(object.Detach()));
}

Fault CloseForCaller(HandleValue handle) {
  const auto value = reinterpret_cast<std::intptr_t>(handle);
  if (value <= kCurrentProcess && value >= kCurrentThreadEffectiveToken) return Fault::kNone;
  const Reference<HandleObject> object = Find(handle);
  if (!object || object->owner() == HandleOwner::kLender) return Fault::kInvalidHandle;
  return Close(handle) ? Fault::kNone : Fault::kInvalidHandle;
}

void CloseLent(HandleValue handle) { static_cast<void>(Close(handle)); }

std::uint32_t OpenHandles() { return Handles().objects.live(); }

}  // namespace ktlsim::authorization
