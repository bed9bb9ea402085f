#include "io/memory_ring.h"

#include <algorithm>
#include <cerrno>
#include <deque>
#include <new>
#include <utility>

#include "io/memory_kernel.h"
#include "io/poison.h"
#include "kernel_sim/base/level.h"

namespace ktlsim::io {
namespace {

// For the trace: different bytes almost always have different sums.
std::uint64_t SumOf(std::span<const std::byte> bytes) {
  std::uint64_t sum = 0;
  for (const std::byte byte : bytes) sum = sum * 31 + static_cast<std::uint64_t>(byte) + 1;
  return sum;
}

}  // namespace

// Given out in the order in which they came back, as a ring of entries does.
class MemoryBuffers final : public ReceiveBuffers {
 public:
  MemoryBuffers(unsigned count, std::size_t buffer_bytes) : ReceiveBuffers(count, buffer_bytes) {}
  ~MemoryBuffers() override = default;
  Status Open() {
    if (Status status = Map(); !status.ok()) return status;
    ProvideAll();
    return {};
  }
  unsigned available() const override { return static_cast<unsigned>(provided_.size()); }
  std::uint16_t Take() {
    const std::uint16_t id = provided_.front();
    provided_.pop_front();
    return id;
  }

 private:
  void Provide(std::uint16_t id) override { provided_.push_back(id); }
  Status Withdraw() override {
    provided_.clear();
    return {};
  }
  std::deque<std::uint16_t> provided_;
};

MemoryRing::Scope::Scope(MemoryRing& ring)
    : kernel_(ring.kernel_), previous_(kernel_.SetCurrent(&ring)) {}

MemoryRing::Scope::~Scope() { kernel_.SetCurrent(previous_); }

MemoryRing::MemoryRing(MemoryKernel& kernel, const MemoryRingOptions& options)
    : LoopBackend(kernel.now_ns()),
      kernel_(kernel),
      options_(options),
      buffers_(
          std::make_unique<MemoryBuffers>(options.receive_buffers, options.receive_buffer_bytes)) {
  number_ = kernel.Add(*this);
}

MemoryRing::~MemoryRing() {
  KTLSIM_ASSERT(IsCurrentThread());
  KTLSIM_ASSERT(!in_turn_);
  KTLSIM_ASSERT(in_kernel_.empty() && completions_.empty());
  kernel_.Remove(*this);
}

std::uint64_t MemoryRing::NowNs() const { return kernel_.now_ns(); }

bool MemoryRing::IsCurrentThread() const {
  return kernel_.current() == nullptr || kernel_.current() == this;
}

ReceiveBuffers& MemoryRing::buffers() { return *buffers_; }

bool MemoryRing::Ready() { return NextEventNs() <= kernel_.now_ns(); }

std::uint64_t MemoryRing::NextEventNs() {
  if (!submissions_.empty() || completion_lost_ || HasOwnWork()) return kernel_.now_ns();
  std::uint64_t next = timers_.NextDeadlineNs();
  for (const Completion& completion : completions_) next = std::min(next, completion.due_ns);
  return std::max(next, kernel_.now_ns());
}

std::size_t MemoryRing::Turn(std::uint64_t wait_ns) {
  KTLSIM_ASSERT(IsCurrentThread());
  KTLSIM_ASSERT(!in_turn_);
  const Scope scope(*this);
  in_turn_ = true;
  figures_.Add<&RingStatistics::turns>();
  FeedStarved();
  // Parked operations follow what is queued already, and precede what handlers start.
  IssueSubmissions();
  SubmitParked();
  IssueSubmissions();
  kernel_.AdvanceTo(kernel_.now_ns());
  if (wait_ns != 0) {
    const std::uint64_t now = kernel_.now_ns();
    kernel_.WaitUntil(wait_ns > kWaitForever - now ? kWaitForever : now + wait_ns);
  }

  const ScopedLevel level(Level::kDispatch);
  const bool lost = std::exchange(completion_lost_, false);
  if (lost) SuspectAll();
  std::size_t ran = RunEnding();
  ran += RunCompletions();
  if (lost) ran += Recover();
  const std::size_t timers = RunTimers(kernel_.now_ns());
  const std::size_t items = RunItems(posted_.TakeAll());
  if (timers + items != 0) kernel_.Note("ran", number_, timers, items);
  in_turn_ = false;
  return ran + timers + items;
}

// False: the submission queue is full.
bool MemoryRing::TakePlace() {
  if (submissions_.size() < options_.submission_entries &&
      !kernel_.Happens(&MemoryFaults::submission_full)) {
    figures_.Add<&RingStatistics::submitted>();
    return true;
  }
  figures_.Add<&RingStatistics::submission_full>();
  return false;
}

bool MemoryRing::TrySubmit(Operation& operation) {
  if (!TakePlace()) return false;
  submissions_.push_back({.operation = &operation, .cancels = false});
  return true;
}

bool MemoryRing::TrySubmitCancel(Operation& operation, Request request) {
  KTLSIM_ASSERT(request == Request::kOperation);
  if (!TakePlace()) return false;
  submissions_.push_back({.operation = &operation, .cancels = true});
  return true;
}

// There are no files here.
int MemoryRing::TakePersonality(OpenOperation& /*operation*/, const UnixIdentity& /*as*/) {
  return EOPNOTSUPP;
}

void MemoryRing::IssueSubmissions() {
  if (submissions_.empty()) return;
  figures_.Add<&RingStatistics::enters>();
  for (const Submission& submission : std::exchange(submissions_, {})) {
    if (submission.cancels) {
      IssueCancel(submission.operation);
    } else {
      Issue(*submission.operation);
    }
  }
}

void MemoryRing::Issue(Operation& operation) {
  auto request = std::make_unique<MemoryRequest>();
  request->ring = this;
  request->operation = &operation;
  request->number = kernel_.NewRequestNumber();
  request->socket = OperationState::Of(operation).socket;
  if (operation.kind() == Operation::Kind::kConnect) {
    request->peer = OperationState::PeerOf(static_cast<ConnectOperation&>(operation));
  } else if (operation.kind() == Operation::Kind::kSend) {
    request->bytes = OperationState::BytesOf(static_cast<SendOperation&>(operation));
  } else if (operation.kind() == Operation::Kind::kReceive) {
    request->multishot = static_cast<ReceiveOperation&>(operation).multishot();
  }
  kernel_.Note("issue", request->number, static_cast<std::uint64_t>(operation.kind()),
               static_cast<std::uint64_t>(request->socket));
  MemoryRequest& issued = *request;
  // One at a time: the kernel gives an operation up before it posts the final completion.
  KTLSIM_CHECK(in_kernel_.emplace(&operation, std::move(request)).second);
  kernel_.Issue(issued);
}

// An operation that is not found was completed meanwhile, which is normal: its final completion
// says how it ended.
void MemoryRing::IssueCancel(Operation* operation) {
  const auto found = in_kernel_.find(operation);
  if (found == in_kernel_.end()) return;
  MemoryRequest& request = *found->second;
  if (!kernel_.Happens(&MemoryFaults::late_cancel)) {
    kernel_.CancelRequest(request);
    return;
  }
  kernel_.CancelLater(request);
}

MemoryRequest* MemoryRing::FindRequest(const Operation* operation, std::uint64_t number) {
  const auto found = in_kernel_.find(operation);
  if (found == in_kernel_.end() || found->second->number != number) return nullptr;
  return found->second.get();
}

void MemoryRing::PostCompletion(MemoryRequest& request, const Outcome& outcome) {
  if (kernel_.TakeLoss(request.operation->kind())) {
    completion_lost_ = true;
    if (!outcome.more) in_kernel_.erase(request.operation);
    return;
  }
  std::uint64_t due = kernel_.now_ns();
  if (kernel_.Happens(&MemoryFaults::delay)) {
    due += kernel_.random().Between(1, kernel_.faults().delay_max_ns);
  }
  // Completions of one operation never overtake each other.
  for (const Completion& earlier : completions_) {
    if (earlier.operation == request.operation) due = std::max(due, earlier.due_ns);
  }
  completions_.push_back({request.operation, request.number, outcome, due});
  if (!outcome.more) in_kernel_.erase(request.operation);
}

std::size_t MemoryRing::BufferRoom() const {
  return buffers_->available() == 0 ? 0 : buffers_->buffer_bytes();
}

void MemoryRing::PostReceived(MemoryRequest& request, std::span<const std::byte> bytes, bool more) {
  const std::uint16_t id = buffers_->Take();
  CopyPoisoned(buffers_->BufferAt(id), bytes.data(), bytes.size());
  kernel_.Note("received", request.number, bytes.size(), SumOf(bytes));
  PostCompletion(request,
                 {.result = static_cast<std::int32_t>(bytes.size()), .more = more, .buffer = id});
}

std::vector<MemoryRing::Completion> MemoryRing::TakeDue() {
  std::vector<Completion> due;
  std::vector<Completion> later;
  for (const Completion& completion : completions_) {
    const bool now = completion.due_ns <= kernel_.now_ns();
    (now && due.size() < options_.completion_entries ? due : later).push_back(completion);
  }
  if (due.size() == options_.completion_entries && !later.empty()) {
    figures_.Add<&RingStatistics::completion_overflow>();
  }
  completions_ = std::move(later);
  if (kernel_.Happens(&MemoryFaults::reorder)) Shuffle(due);
  figures_.Add<&RingStatistics::completed>(due.size());
  return due;
}

// Draws an operation again and again, and takes its oldest completion.
void MemoryRing::Shuffle(std::vector<Completion>& completions) {
  for (std::size_t i = 0; i < completions.size(); ++i) {
    const std::size_t drawn = i + kernel_.random().Below(completions.size() - i);
    const auto oldest = std::find_if(
        completions.begin() + static_cast<std::ptrdiff_t>(i), completions.end(),
        [&](const Completion& c) { return c.operation == completions[drawn].operation; });
    std::rotate(completions.begin() + static_cast<std::ptrdiff_t>(i), oldest, oldest + 1);
  }
}

std::size_t MemoryRing::RunCompletions() {
  const std::vector<Completion> due = TakeDue();
  for (const Completion& completion : due) {
    kernel_.Note("complete", completion.number,
                 static_cast<std::uint64_t>(std::int64_t{completion.outcome.result}),
                 (completion.outcome.more ? 1u : 0u) + 2u * number_);
    Complete(*completion.operation, completion.outcome);
  }
  return due.size();
}

// As on the real ring (uring_ring.cc).
std::size_t MemoryRing::Recover() {
  figures_.Add<&RingStatistics::completions_lost>();
  IssueSubmissions();
  SuspectAll();
  std::vector<MemoryRequest*> requests;
  requests.reserve(in_kernel_.size());
  for (const auto& entry : in_kernel_) requests.push_back(entry.second.get());
  std::sort(requests.begin(), requests.end(),
            [](const MemoryRequest* a, const MemoryRequest* b) { return a->number < b->number; });
  for (MemoryRequest* const request : requests) kernel_.CancelRequest(*request);
  std::size_t ran = 0;
  while (!completions_.empty()) {
    for (Completion& completion : completions_) completion.due_ns = kernel_.now_ns();
    ran += RunCompletions();
  }
  KTLSIM_CHECK(buffers_->Renew().ok());
  EndSuspects();
  return ran;
}

void MemoryRing::Post(WorkItem& item) {
  // It never announces a sleep, so no post has to wake it: the scheduler sees that it is Ready.
  KTLSIM_CHECK(!posted_.Push(item));
}

Result<SocketId> MemoryRing::Opened(Result<SocketId> socket) {
  if (!socket || NoteOpened(*socket)) return socket;
  kernel_.Close(*socket, /*reset=*/true);
  return IoError(ENOMEM, "keep track of a socket");
}

bool MemoryRing::Adopt(SocketId socket) { return Opened(socket).ok(); }

Result<SocketId> MemoryRing::Listen(const Address& address, const ListenOptions& options) {
  KTLSIM_ASSERT(IsCurrentThread());
  return Opened(kernel_.Listen(address, options));
}

Result<SocketId> MemoryRing::OpenStream(int family) {
  KTLSIM_ASSERT(IsCurrentThread());
  return Opened(kernel_.OpenStream(family));
}

Result<Address> MemoryRing::LocalAddress(SocketId socket) { return kernel_.LocalAddress(socket); }
Result<Address> MemoryRing::PeerAddress(SocketId socket) { return kernel_.PeerAddress(socket); }

void MemoryRing::ShutdownSend(SocketId socket) {
  KTLSIM_ASSERT(IsCurrentThread());
  kernel_.ShutdownSend(socket);
}

void MemoryRing::Close(SocketId socket, bool reset) {
  NoteClosed(socket);
  kernel_.Close(socket, reset);
}

Result<std::unique_ptr<MemoryRing>> CreateMemoryRing(MemoryNetwork& network,
                                                     const MemoryRingOptions& options) {
  const bool fits = options.receive_buffers >= 1 && options.receive_buffers <= 32768 &&
                    options.receive_buffer_bytes >= 1 &&
                    options.receive_buffer_bytes <= (std::size_t{1} << 30) &&
                    options.submission_entries >= 1 && options.completion_entries >= 1;
  if (!fits) return Status(Category::kContract, 0, "create a memory ring with these options");
  try {
    std::unique_ptr<MemoryRing> ring(new MemoryRing(*network.kernel_, options));
    if (Status status = ring->buffers_->Open(); !status.ok()) return status;
    return ring;
  } catch (const std::bad_alloc&) {
    return IoError(ENOMEM, "create a memory ring");
  }
}

}  // namespace ktlsim::io
