#include "engine/scheduler.h"

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <new>
#include <thread>

#include "engine/batch_plan.h"
#include "engine/scheduler_queue.h"
#include "engine/thread_shares.h"

namespace truevec {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Texts from this size on are tokenised beside the queue: they would hold it up.
constexpr size_t kLongText = size_t{32} << 10;

struct Pick {
  TaskJobPtr job;
  size_t index = 0;
};

struct Batch {
  std::vector<Pick> picks;
  int64_t tokens = 0;  // as estimated when it was taken
  ThreadPool* pool = nullptr;
};

// Scratch memory beyond this goes back to the system after a batch.
constexpr size_t kKeepArena = size_t{128} << 20;

int64_t EstimateTokens(const TaskText& text, int64_t limit) {
  const size_t bytes = text.text.size() + (text.pair.has_value() ? text.pair->size() : 0);
  int64_t tokens = text.ids.empty() ? static_cast<int64_t>(bytes / 4 + 2) : static_cast<int64_t>(text.ids.size());
  if (limit > 0) tokens = std::min(tokens, limit);
  return std::max<int64_t>(tokens, 1);
}

bool GivesTokenVectors(TaskKind kind) { return kind == TaskKind::kTokens || kind == TaskKind::kMultiVector; }

Status WithText(const Status& status, const TaskJob& job, size_t index) {
  return job.units.size() == 1 ? status : status.WithContext("text " + std::to_string(index));
}

}  // namespace

size_t EstimateTokenVectors(const TaskRequest& request) {
  if (!GivesTokenVectors(request.kind)) return 0;
  const int64_t limit = request.encode.max_length.value_or(request.model->max_length());
  int64_t tokens = 0;
  for (const TaskText& text : request.texts)
    tokens += std::min(2 * EstimateTokens(text, 0), limit > 0 ? limit : INT32_MAX);
  return static_cast<size_t>(tokens * request.model->dimension()) * sizeof(float);
}

class Scheduler::Impl {
 public:
  Impl(const SchedulerOptions& options, std::function<void(const BatchReport&)> on_batch)
      : options_(options),
        on_batch_(std::move(on_batch)),
        shares_(options.threads > 0 ? options.threads : AvailableCpus()),
        encoder_([this] { EncodeLongTexts(); }) {
    for (int i = 0; i < shares_.threads(); ++i) workers_.emplace_back([this] { Work(); });
  }
  ~Impl() { Stop(); }

  void Submit(TaskRequest request, TaskDone done);
  std::optional<TaskResult> RefusalOfAny(size_t tokens) const;
  void Stop();
  SchedulerLoad load() const;
  ThreadPool* pool() {
    const std::lock_guard lock(mutex_);
    return shares_.all();
  }
  const SchedulerOptions& options() const { return options_; }

 private:
  static TaskJobPtr MakeJob(TaskRequest request, TaskDone done);
  std::optional<TaskResult> Refusal(const TaskJob& job) const;  // REQUIRES: mutex_
  milliseconds DrainTime(int64_t tokens) const;                 // REQUIRES: mutex_
  BatchInputs Inputs(const Group& group) const;                 // REQUIRES: mutex_
  bool CanStart();                                              // REQUIRES: mutex_
  void Work();
  void EncodeLongTexts();
  // REQUIRES: mutex_, CanStart().
  Batch TakeBatch(std::vector<TaskJobPtr>* dropped);
  void TakeFrom(FairLane* lane, int64_t budget, std::vector<Pick>* picks, int64_t* tokens,
                std::vector<TaskJobPtr>* dropped);
  void Encode(const std::vector<Pick>& picks, ThreadPool* pool);
  static Result<EncodedText> EncodeText(const ServingModel& model, const TaskText& text,
                                        const EncodeTextOptions& options);
  static Status EncodeOne(TaskJob* job, size_t index);
  void DropJobs(const std::vector<TaskJobPtr>& dropped);
  void Run(const Batch& batch);
  Status RunBatch(const std::vector<Pick>& picks, ThreadPool* pool);
  Status Compute(const std::vector<Pick>& picks, const ExecContext& context);
  std::unique_ptr<Arena> TakeArena();
  void ReturnArena(std::unique_ptr<Arena> arena);
  bool Answered(const TaskJob& job) const;
  void Fail(const TaskJobPtr& job, TaskOutcome outcome, const Status& status, std::optional<size_t> text);
  void Finish(const Pick& pick);
  void Answer(const TaskJobPtr& job);
  void Note(const std::vector<Pick>& picks, int threads, Clock::duration encoding, Clock::duration computing);

  const SchedulerOptions options_;
  const std::function<void(const BatchReport&)> on_batch_;
  mutable std::mutex mutex_;
  ThreadShares shares_;                         // guarded by mutex_, as all below
  std::vector<std::unique_ptr<Arena>> arenas_;  // that no batch uses
  std::condition_variable wake_;
  std::condition_variable wake_encoder_;
  TaskQueue queue_;
  std::deque<TaskJobPtr> to_encode_;
  bool stopping_ = false;
  size_t requests_ = 0;
  size_t texts_ = 0;
  size_t bytes_ = 0;
  std::array<int64_t, kLanes> tokens_{};  // estimated, waiting
  int64_t running_tokens_ = 0;            // about, of the running batches
  double rate_ = 0;                       // tokens a second and thread, moving average
  double concurrent_ = 1;                 // requests in the system when one comes, with it; moving average
  std::vector<std::thread> workers_;
  std::thread encoder_;
};

TaskJobPtr Scheduler::Impl::MakeJob(TaskRequest request, TaskDone done) {
  auto job = std::make_shared<TaskJob>();
  job->request = std::move(request);
  job->done = std::move(done);
  job->submitted = Clock::now();
  const TaskRequest& asked = job->request;
  TV_CHECK(!asked.texts.empty());
  TV_CHECK(asked.encode_texts.empty() || asked.encode_texts.size() == asked.texts.size());
  const int64_t limit = asked.encode.max_length.value_or(asked.model->max_length());
  job->units.resize(asked.texts.size());
  for (size_t i = 0; i < asked.texts.size(); ++i) {
    const TaskText& text = asked.texts[i];
    job->units[i].estimate = static_cast<int32_t>(std::min<int64_t>(EstimateTokens(text, limit), INT32_MAX));
    job->tokens_left += job->units[i].estimate;
    job->bytes += text.text.size() + (text.pair.has_value() ? text.pair->size() : 0) + 4 * text.ids.size();
  }
  job->bytes += EstimateTokenVectors(asked);
  job->lane = job->tokens_left <= kQueryTokens ? kQueries : kBulk;
  job->result.text_tokens.resize(asked.texts.size());
  const Pipeline& pipeline = asked.model->pipeline();
  switch (asked.kind) {
    case TaskKind::kDense:
      job->result.width = pipeline.OutputWidth(asked.embed);
      break;
    case TaskKind::kScore:
      job->result.width = pipeline.labels();
      break;
    default:
      job->rows.resize(asked.texts.size());
      job->row_columns.resize(asked.texts.size());
      break;
  }
  return job;
}

milliseconds Scheduler::Impl::DrainTime(int64_t tokens) const {
  if (rate_ <= 0) return milliseconds(0);
  const double rate = rate_ * shares_.threads();
  return milliseconds(static_cast<int64_t>(std::ceil(1000.0 * static_cast<double>(tokens) / rate)));
}

BatchInputs Scheduler::Impl::Inputs(const Group& group) const {
  BatchInputs inputs;
  inputs.threads = shares_.threads();
  inputs.free_threads = shares_.free();
  inputs.waiting_tokens = tokens_[kQueries] + tokens_[kBulk];
  inputs.running_tokens = running_tokens_;
  inputs.tokens_per_second = rate_;
  inputs.concurrent_requests = concurrent_;
  const FairLane& lane = group.lanes[kQueries].empty() ? group.lanes[kBulk] : group.lanes[kQueries];
  inputs.first_tokens = lane.Front()->NextCost();
  return inputs;
}

bool Scheduler::Impl::CanStart() {
  if (queue_.empty() || shares_.free() == 0) return false;
  return FitsBeside(options_, Inputs(*queue_.Next()));
}

// A request alone in its lane is never refused, however large.
std::optional<TaskResult> Scheduler::Impl::Refusal(const TaskJob& job) const {
  TaskResult result;
  if (stopping_) {
    result.outcome = TaskOutcome::kStopping;
    result.status = {Code::kUnavailable, "the server is stopping"};
    return result;
  }
  const int64_t waiting = tokens_[kQueries] + tokens_[kBulk];
  const int64_t ahead = job.lane == kQueries ? tokens_[kQueries] : waiting;
  const milliseconds wait = DrainTime(ahead);
  const bool late = wait > (job.lane == kQueries ? options_.max_wait : options_.max_bulk_wait);
  const bool full = texts_ + job.units.size() > options_.max_queue_texts ||
                    bytes_ + job.bytes > options_.max_queue_bytes ||
                    waiting + job.tokens_left > options_.max_queue_tokens;
  if (ahead == 0 && bytes_ + job.bytes <= options_.max_queue_bytes * 2) return std::nullopt;
  if (!late && !full) return std::nullopt;
  result.outcome = TaskOutcome::kFull;
  result.status = {Code::kUnavailable, "the queue is full: " + std::to_string(texts_) + " texts wait; try again"};
  // Half of what waits ahead must be gone before coming back makes sense.
  result.retry_after = std::clamp(wait / 2, milliseconds(50), milliseconds(60000));
  return result;
}

std::optional<TaskResult> Scheduler::Impl::RefusalOfAny(size_t tokens) const {
  if (tokens > static_cast<size_t>(kQueryTokens)) return std::nullopt;
  TaskJob least;
  least.lane = kQueries;
  least.tokens_left = 1;
  least.units.resize(1);
  const std::lock_guard lock(mutex_);
  return Refusal(least);
}

void Scheduler::Impl::Submit(TaskRequest request, TaskDone done) {
  const TaskJobPtr job = MakeJob(std::move(request), std::move(done));
  const auto& texts = job->request.texts;
  const bool has_long = std::any_of(texts.begin(), texts.end(), [](const TaskText& text) {
    return text.text.size() + (text.pair.has_value() ? text.pair->size() : 0) >= kLongText;
  });
  std::optional<TaskResult> refusal;
  {
    const std::lock_guard lock(mutex_);
    refusal = Refusal(*job);
    if (!refusal.has_value()) {
      concurrent_ += (static_cast<double>(++requests_) - concurrent_) / 16;
      texts_ += job->units.size();
      bytes_ += job->bytes;
      tokens_[static_cast<size_t>(job->lane)] += job->tokens_left;
      if (has_long) {
        to_encode_.push_back(job);
      } else {
        queue_.Push(job);
      }
    }
  }
  if (refusal.has_value()) return job->done(std::move(*refusal));
  (has_long ? wake_encoder_ : wake_).notify_one();
}

void Scheduler::Impl::Stop() {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
  }
  wake_.notify_all();
  wake_encoder_.notify_one();
  for (std::thread& worker : workers_) worker.join();
  encoder_.join();
  std::vector<TaskJobPtr> waiting = queue_.All();
  waiting.insert(waiting.end(), to_encode_.begin(), to_encode_.end());
  for (const TaskJobPtr& job : waiting) {
    Fail(job, TaskOutcome::kStopping, {Code::kUnavailable, "the server is stopping"}, std::nullopt);
  }
  // Jobs hold their callers' connections, which must not outlive the server.
  queue_ = TaskQueue();
  to_encode_.clear();
}

SchedulerLoad Scheduler::Impl::load() const {
  const std::lock_guard lock(mutex_);
  return {requests_, texts_, tokens_[kQueries] + tokens_[kBulk], bytes_, rate_ * shares_.threads()};
}

// Tokenises requests with long texts beside the queue, then lets them in.
void Scheduler::Impl::EncodeLongTexts() {
  for (;;) {
    TaskJobPtr job;
    {
      std::unique_lock lock(mutex_);
      wake_encoder_.wait(lock, [this] { return stopping_ || !to_encode_.empty(); });
      if (stopping_) return;
      job = to_encode_.front();
    }
    Status status;
    size_t failed = 0;
    for (size_t i = 0; i < job->units.size() && status.ok(); ++i) {
      status = EncodeOne(job.get(), i);
      failed = i;
    }
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      to_encode_.pop_front();
      if (status.ok()) {
        queue_.Push(job);
      } else {
        tokens_[static_cast<size_t>(job->lane)] -= job->tokens_left;
        job->tokens_left = 0;
        job->taken = job->units.size();
      }
    }
    if (!status.ok()) {
      const bool too_long = job->units[failed].encoded.has_value();
      Fail(job, too_long ? TaskOutcome::kTooLong : TaskOutcome::kFailed, WithText(status, *job, failed), failed);
    }
    wake_.notify_one();
  }
}

void Scheduler::Impl::TakeFrom(FairLane* lane, int64_t budget, std::vector<Pick>* picks, int64_t* tokens,
                               std::vector<TaskJobPtr>* dropped) {
  size_t demotions = 0;
  while (!lane->empty() && picks->size() < options_.max_batch_texts) {
    const TaskJobPtr job = lane->Front();
    const TaskClient client = job->request.state ? job->request.state() : TaskClient::kHere;
    const bool late = job->request.deadline.has_value() && Clock::now() > *job->request.deadline;
    if (job->answered || client == TaskClient::kGone || late) {
      lane->Charge(0, /*drop=*/true);
      if (!job->answered) dropped->push_back(job);
      continue;
    }
    if (client == TaskClient::kDoubtful && demotions < 64) {
      ++demotions;
      lane->Demote();
      if (lane->Front() != job) continue;
    }
    const int32_t estimate = job->units[job->taken].estimate;
    const int64_t cost = job->NextCost();
    if (!picks->empty() && *tokens + cost > budget) return;
    picks->push_back({job, job->taken});
    *tokens += cost;
    job->tokens_left -= estimate;
    tokens_[static_cast<size_t>(job->lane)] -= estimate;
    if (!job->started.has_value()) job->started = Clock::now();
    ++job->taken;
    lane->Charge(cost, /*drop=*/job->taken == job->units.size());
  }
}

Batch Scheduler::Impl::TakeBatch(std::vector<TaskJobPtr>* dropped) {
  Batch batch;
  Group* group = queue_.Next();
  const BatchInputs inputs = Inputs(*group);
  batch.pool = shares_.Take(BatchThreads(options_, inputs));
  const int64_t budget = BatchTokens(options_, inputs, batch.pool->threads());
  // Queries leave a quarter to bulk work that waits.
  FairLane& queries = group->lanes[kQueries];
  FairLane& bulk = group->lanes[kBulk];
  TakeFrom(&queries, bulk.empty() ? budget : budget * 3 / 4, &batch.picks, &batch.tokens, dropped);
  TakeFrom(&bulk, budget, &batch.picks, &batch.tokens, dropped);
  TakeFrom(&queries, budget, &batch.picks, &batch.tokens, dropped);
  group->served += static_cast<double>(batch.tokens);
  queue_.Sweep();
  running_tokens_ += batch.tokens;
  for (const TaskJobPtr& job : *dropped) {
    tokens_[static_cast<size_t>(job->lane)] -= job->tokens_left;
    job->tokens_left = 0;
    job->taken = job->units.size();
  }
  return batch;
}

void Scheduler::Impl::DropJobs(const std::vector<TaskJobPtr>& dropped) {
  for (const TaskJobPtr& job : dropped) {
    const bool late = job->request.deadline.has_value() && Clock::now() > *job->request.deadline;
    Fail(job, late ? TaskOutcome::kLate : TaskOutcome::kGone,
         {Code::kInterrupted, late ? "the deadline of the request is over" : "the client is gone"}, std::nullopt);
  }
}

// One of as many as there are compute threads: each runs a batch at a time on the threads that it was lent.
void Scheduler::Impl::Work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || CanStart(); });
    if (stopping_) return;
    std::vector<TaskJobPtr> dropped;
    Batch batch = TakeBatch(&dropped);
    const bool more = CanStart();
    lock.unlock();
    if (more) wake_.notify_one();
    DropJobs(dropped);
    if (!batch.picks.empty()) Run(batch);
    batch.picks.clear();
    lock.lock();
    running_tokens_ -= batch.tokens;
    shares_.Return(batch.pool);
  }
}

Result<EncodedText> Scheduler::Impl::EncodeText(const ServingModel& model, const TaskText& text,
                                                const EncodeTextOptions& options) {
  if (text.special_tokens.has_value()) return model.EncodeAlone(text.text, *text.special_tokens, options);
  std::optional<std::string> cut;
  std::optional<std::string> cut_pair;
  if (text.most_tokens > 0) {
    TV_ASSIGN_OR_RETURN(cut, model.CutToTokens(text.text, text.most_tokens));
  }
  if (text.most_pair_tokens > 0 && text.pair.has_value()) {
    TV_ASSIGN_OR_RETURN(cut_pair, model.CutToTokens(*text.pair, text.most_pair_tokens));
  }
  const std::string& first = cut.has_value() ? *cut : text.text;
  if (!text.pair.has_value()) return model.pipeline().Encode(first, options);
  return model.pipeline().EncodePair(first, cut_pair.has_value() ? *cut_pair : *text.pair, options);
}

// On an error `encoded` is set when the text is too long, and not set otherwise.
Status Scheduler::Impl::EncodeOne(TaskJob* job, size_t index) {
  TaskUnit& unit = job->units[index];
  const TaskText& text = job->request.texts[index];
  EncodeTextOptions options =
      job->request.encode_texts.empty() ? job->request.encode : job->request.encode_texts[index];
  const bool refuse_long = options.error_when_long;
  options.error_when_long = false;
  const Pipeline& pipeline = job->request.model->pipeline();
  const int64_t limit = options.max_length.value_or(pipeline.max_length());
  try {
    if (!text.ids.empty()) {
      EncodedText given;
      given.ids = text.ids;
      given.task = options.prompt.task;
      if (limit > 0 && static_cast<int64_t>(given.ids.size()) > limit) {
        given.truncated_tokens = static_cast<int64_t>(given.ids.size()) - limit;
        if (options.truncation_side == Side::kLeft) {
          given.ids.erase(given.ids.begin(), given.ids.end() - limit);
        } else {
          given.ids.resize(static_cast<size_t>(limit));
        }
      }
      unit.encoded = std::move(given);
    } else {
      TV_ASSIGN_OR_RETURN(unit.encoded, EncodeText(*job->request.model, text, options));
    }
  } catch (const std::bad_alloc&) {
    return ResourceError("out of memory while tokenising");
  }
  if (refuse_long && unit.encoded->truncated_tokens > 0) {
    return InputError("the text has " +
                      std::to_string(static_cast<int64_t>(unit.encoded->ids.size()) + unit.encoded->truncated_tokens) +
                      " tokens; the model takes " + std::to_string(limit));
  }
  return Status::Ok();
}

void Scheduler::Impl::Encode(const std::vector<Pick>& picks, ThreadPool* pool) {
  std::mutex mutex;
  std::vector<std::pair<size_t, Status>> failures;
  pool->ParallelFor(static_cast<int64_t>(picks.size()), [&](int64_t i, int) {
    const Pick& pick = picks[static_cast<size_t>(i)];
    if (pick.job->units[pick.index].encoded.has_value()) return;
    Status status = EncodeOne(pick.job.get(), pick.index);
    if (status.ok()) return;
    const std::lock_guard lock(mutex);
    failures.emplace_back(static_cast<size_t>(i), std::move(status));
  });
  std::sort(failures.begin(), failures.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [i, status] : failures) {
    const auto& [job, index] = picks[i];
    const bool too_long = job->units[index].encoded.has_value();
    Fail(job, too_long ? TaskOutcome::kTooLong : TaskOutcome::kFailed, WithText(status, *job, index), index);
  }
}

bool Scheduler::Impl::Answered(const TaskJob& job) const {
  const std::lock_guard lock(mutex_);
  return job.answered;
}

void Scheduler::Impl::Run(const Batch& batch) {
  const auto start = Clock::now();
  Encode(batch.picks, batch.pool);
  // Requests that failed, here or in a batch beside this one, leave the batch.
  std::vector<Pick> run;
  for (const Pick& pick : batch.picks) {
    if (!Answered(*pick.job)) run.push_back(pick);
  }
  if (run.empty()) return;
  std::stable_sort(run.begin(), run.end(), [](const Pick& a, const Pick& b) {
    return a.job->units[a.index].encoded->ids.size() > b.job->units[b.index].encoded->ids.size();
  });
  const auto encoded = Clock::now();
  const Status status = RunBatch(run, batch.pool);
  if (!status.ok()) {
    // One request's fault must not be another's: each text alone.
    for (const Pick& pick : run) {
      if (Answered(*pick.job)) continue;
      const Status alone = run.size() == 1 ? status : RunBatch({pick}, batch.pool);
      if (!alone.ok()) Fail(pick.job, TaskOutcome::kFailed, WithText(alone, *pick.job, pick.index), pick.index);
    }
  }
  Note(run, batch.pool->threads(), encoded - start, Clock::now() - encoded);
  for (const Pick& pick : run) Finish(pick);
}

std::unique_ptr<Arena> Scheduler::Impl::TakeArena() {
  const std::lock_guard lock(mutex_);
  if (arenas_.empty()) return std::make_unique<Arena>();
  std::unique_ptr<Arena> arena = std::move(arenas_.back());
  arenas_.pop_back();
  return arena;
}

void Scheduler::Impl::ReturnArena(std::unique_ptr<Arena> arena) {
  if (arena->capacity() > kKeepArena) return;
  arena->Reset();
  const std::lock_guard lock(mutex_);
  arenas_.push_back(std::move(arena));
}

Status Scheduler::Impl::RunBatch(const std::vector<Pick>& picks, ThreadPool* pool) {
  Status status;
  try {
    std::unique_ptr<Arena> arena = TakeArena();
    status = Compute(picks, {pool, arena.get(), nullptr});
    ReturnArena(std::move(arena));
  } catch (const std::bad_alloc&) {
    status = ResourceError("out of memory while computing");
  }
  return status;
}

// Texts of one request may be in several batches at once: each writes to its own place.
Status Scheduler::Impl::Compute(const std::vector<Pick>& picks, const ExecContext& context) {
  const TaskRequest& request = picks.front().job->request;
  const Pipeline& pipeline = request.model->pipeline();
  std::vector<const EncodedText*> texts;
  for (const Pick& pick : picks) texts.push_back(&*pick.job->units[pick.index].encoded);
  if (request.kind == TaskKind::kDense || request.kind == TaskKind::kScore) {
    const auto rows = static_cast<int64_t>(texts.size());
    const int64_t width = picks.front().job->result.width;
    const Matrix out = context.arena->NewMatrix(rows, width);
    TV_RETURN_IF_ERROR(request.kind == TaskKind::kDense ? pipeline.Embed(texts, request.embed, context, out)
                                                        : pipeline.Score(texts, request.score, context, out));
    for (size_t i = 0; i < picks.size(); ++i) {
      TaskJob& job = *picks[i].job;
      std::call_once(job.values_made, [&] { job.result.values.resize(job.units.size() * static_cast<size_t>(width)); });
      std::copy_n(out.row(static_cast<int64_t>(i)), width,
                  job.result.values.begin() + static_cast<int64_t>(picks[i].index) * width);
    }
    return Status::Ok();
  }
  const auto set_width = [&](int64_t width) {
    const std::lock_guard lock(mutex_);
    for (const Pick& pick : picks) pick.job->result.width = width;
  };
  const auto deal = [&](const auto& all, int64_t per_entry, auto member) {
    for (size_t i = 0; i < picks.size(); ++i) {
      auto& target = ((*picks[i].job).*member)[picks[i].index];
      target.assign(all.first.begin() + all.second[i] * per_entry, all.first.begin() + all.second[i + 1] * per_entry);
    }
  };
  if (request.kind == TaskKind::kSparse) {
    TV_ASSIGN_OR_RETURN(const SparseVectors sparse, pipeline.EmbedSparse(texts, 0, context));
    deal(std::make_pair(sparse.values, sparse.offsets), 1, &TaskJob::rows);
    deal(std::make_pair(sparse.columns, sparse.offsets), 1, &TaskJob::row_columns);
    set_width(sparse.width);
    return Status::Ok();
  }
  TV_ASSIGN_OR_RETURN(const TokenVectors tokens, request.kind == TaskKind::kTokens
                                                     ? pipeline.EmbedTokens(texts, context)
                                                     : pipeline.EmbedMultiVector(texts, context));
  deal(std::make_pair(tokens.values, tokens.offsets), tokens.width, &TaskJob::rows);
  set_width(tokens.width);
  return Status::Ok();
}

void Scheduler::Impl::Note(const std::vector<Pick>& picks, int threads, Clock::duration encoding,
                           Clock::duration computing) {
  BatchReport report;
  report.texts = picks.size();
  report.tokenize_time = encoding;
  report.inference_time = computing;
  std::vector<TaskJob*> jobs;
  for (const auto& [job, index] : picks) {
    report.tokens += static_cast<int64_t>(job->units[index].encoded->ids.size());
    jobs.push_back(job.get());
  }
  std::sort(jobs.begin(), jobs.end());
  jobs.erase(std::unique(jobs.begin(), jobs.end()), jobs.end());
  const double seconds = std::chrono::duration<double>(encoding + computing).count();
  {
    const std::lock_guard lock(mutex_);
    for (TaskJob* job : jobs) {
      job->result.tokenize_time += encoding;
      job->result.inference_time += computing;
    }
    if (seconds > 0 && report.tokens > 0) {
      const double now = static_cast<double>(report.tokens) / seconds / threads;
      // Small batches run slower than those of a full queue, so they count less.
      const double share = static_cast<double>(report.tokens) / static_cast<double>(kLeastBatchTokens * threads);
      rate_ = rate_ == 0 ? now : rate_ + 0.2 * std::min(1.0, share) * (now - rate_);
    }
  }
  if (on_batch_) on_batch_(report);
}

// Answers with an error. What is left in the queue is dropped when its turn comes.
void Scheduler::Impl::Fail(const TaskJobPtr& job, TaskOutcome outcome, const Status& status,
                           std::optional<size_t> text) {
  {
    const std::lock_guard lock(mutex_);
    if (job->answered) return;
    job->answered = true;
    tokens_[static_cast<size_t>(job->lane)] -= job->tokens_left;
    job->tokens_left = 0;
    --requests_;
    texts_ -= job->units.size() - job->finished;
    bytes_ -= job->bytes;
    // Texts of it that are in the running batch are not counted again by Finish().
    job->finished = job->units.size();
  }
  TaskResult result;
  result.outcome = outcome;
  result.status = status;
  result.text = text;
  job->done(std::move(result));
}

void Scheduler::Impl::Finish(const Pick& pick) {
  const auto& [job, index] = pick;
  const std::optional<EncodedText> unit = std::move(job->units[index].encoded);
  const EncodedText& encoded = *unit;
  bool last = false;
  std::unique_lock lock(mutex_);
  if (job->answered) return;
  job->result.text_tokens[index] = static_cast<int32_t>(encoded.ids.size());
  job->result.tokens += static_cast<int64_t>(encoded.ids.size());
  job->result.truncated_tokens += encoded.truncated_tokens;
  job->result.truncated_texts += encoded.truncated_tokens > 0 ? 1 : 0;
  --texts_;
  last = ++job->finished == job->units.size();
  if (last) {
    job->answered = true;
    --requests_;
    bytes_ -= job->bytes;
  }
  lock.unlock();
  if (last) Answer(job);
}

void Scheduler::Impl::Answer(const TaskJobPtr& job) {
  TaskResult& result = job->result;
  if (!job->rows.empty()) {
    const bool sparse = job->request.kind == TaskKind::kSparse;
    result.offsets.push_back(0);
    for (size_t i = 0; i < job->rows.size(); ++i) {
      const auto size = static_cast<int64_t>(job->rows[i].size());
      result.offsets.push_back(result.offsets.back() + (sparse || result.width == 0 ? size : size / result.width));
      result.values.insert(result.values.end(), job->rows[i].begin(), job->rows[i].end());
      result.columns.insert(result.columns.end(), job->row_columns[i].begin(), job->row_columns[i].end());
    }
  }
  const auto now = Clock::now();
  result.queue_time = job->started.value_or(now) - job->submitted;
  result.total_time = now - job->submitted;
  job->done(std::move(result));
}

Scheduler::Scheduler(const SchedulerOptions& options, std::function<void(const BatchReport&)> on_batch)
    : impl_(std::make_unique<Impl>(options, std::move(on_batch))) {}
Scheduler::~Scheduler() = default;
void Scheduler::Submit(TaskRequest request, TaskDone done) { impl_->Submit(std::move(request), std::move(done)); }
std::optional<TaskResult> Scheduler::RefusalOfAny(size_t tokens) const { return impl_->RefusalOfAny(tokens); }
void Scheduler::Stop() { impl_->Stop(); }
SchedulerLoad Scheduler::load() const { return impl_->load(); }
ThreadPool* Scheduler::pool() { return impl_->pool(); }
const SchedulerOptions& Scheduler::options() const { return impl_->options(); }

}  // namespace truevec
