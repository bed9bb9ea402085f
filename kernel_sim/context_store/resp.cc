#include "kernel_sim/context_store/resp.h"

#include <hiredis/hiredis.h>

#include <array>
#include <new>
#include <utility>

#include "kernel_sim/base/assert.h"

namespace ktlsim::context_store {

struct RespReader::State {
  struct FreeReader {
    void operator()(redisReader* unused) const { redisReaderFree(unused); }
  };

  std::unique_ptr<redisReader, FreeReader> reader;
  std::size_t elements = 0;  // of the reply that is being read
};

namespace {

// hiredis calls these while it reads. Null means that there is no memory, which ends the reader.

RespValue* Place(const redisReadTask* task) {
  if (task->parent == nullptr) return new (std::nothrow) RespValue();
  auto* parent = static_cast<RespValue*>(task->parent->obj);
  return &parent->elements[static_cast<std::size_t>(task->idx)];
}

void* CreateText(const redisReadTask* task, char* text, std::size_t size) {
  RespValue* const value = Place(task);
  if (value == nullptr) return nullptr;
  value->type = task->type == REDIS_REPLY_ERROR    ? RespValue::Type::kError
                : task->type == REDIS_REPLY_STATUS ? RespValue::Type::kStatus
                                                   : RespValue::Type::kText;
  try {
    value->text.assign(text, size);
  } catch (const std::bad_alloc&) {
    if (task->parent == nullptr) delete value;
    return nullptr;
  }
  return value;
}

void* CreateArray(const redisReadTask* task, int elements) {
  RespValue* const value = Place(task);
  if (value == nullptr) return nullptr;
  value->type = RespValue::Type::kArray;
  const auto more = static_cast<std::size_t>(elements);
  std::size_t& so_far = *static_cast<std::size_t*>(task->privdata);
  if (more <= RespReader::kReplyElementsMax - so_far) {
    try {
      value->elements.resize(more);
      so_far += more;
      return value;
    } catch (const std::bad_alloc&) {
      value->elements.clear();
    }
  }
  if (task->parent == nullptr) delete value;
  return nullptr;
}

void* CreateInteger(const redisReadTask* task, long long integer) {
  RespValue* const value = Place(task);
  if (value == nullptr) return nullptr;
  value->type = RespValue::Type::kInteger;
  value->integer = integer;
  return value;
}

void* CreateNil(const redisReadTask* task) { return Place(task); }

// Only the outermost value is given to it.
void FreeValue(void* value) { delete static_cast<RespValue*>(value); }

// It may not be constant, since hiredis takes a plain pointer; nobody changes it.
redisReplyObjectFunctions functions = {.createString = CreateText,
                                       .createArray = CreateArray,
                                       .createInteger = CreateInteger,
                                       .createNil = CreateNil,
                                       .freeObject = FreeValue};

}  // namespace

RespReader::RespReader() : state_(std::make_unique<State>()) { Reset(); }
RespReader::~RespReader() = default;

void RespReader::Reset() {
  state_->reader.reset(redisReaderCreateWithFunctions(&functions));
  state_->elements = 0;
  if (state_->reader != nullptr) state_->reader->privdata = &state_->elements;
}

bool RespReader::Feed(std::span<const std::byte> bytes) {
  redisReader* const reader = state_->reader.get();
  return reader != nullptr && reader->len - reader->pos <= kReplyBytesMax &&
         redisReaderFeed(reader, reinterpret_cast<const char*>(bytes.data()), bytes.size()) ==
             REDIS_OK;
}

RespReader::Outcome RespReader::Next(std::unique_ptr<RespValue>* reply) {
  redisReader* const reader = state_->reader.get();
  void* read = nullptr;
  if (reader == nullptr || redisReaderGetReply(reader, &read) != REDIS_OK) return Outcome::kBroken;
  if (read == nullptr) return Outcome::kNeedMore;
  state_->elements = 0;
  reply->reset(static_cast<RespValue*>(read));
  return Outcome::kReply;
}

bool AppendCommand(std::span<const std::string_view> arguments, std::string* out) {
  constexpr std::size_t kArgumentsMax = 32;
  KTLSIM_ASSERT(arguments.size() <= kArgumentsMax);
  std::array<const char*, kArgumentsMax> texts;
  std::array<std::size_t, kArgumentsMax> sizes;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    texts[i] = arguments[i].data();
    sizes[i] = arguments[i].size();
  }
  char* command = nullptr;
  const int size = redisFormatCommandArgv(&command, static_cast<int>(arguments.size()),
                                          texts.data(), sizes.data());
  if (size < 0) return false;
  bool appended = true;
  try {
    out->append(command, static_cast<std::size_t>(size));
  } catch (const std::bad_alloc&) {
    appended = false;
  }
  redisFreeCommand(command);
  return appended;
}

}  // namespace ktlsim::context_store
