// retort continual: a stream of tasks, learned with what one method stores of them, beside what
// other methods reached in the same folder.
#include <fmt/format.h>

#include <ostream>
#include <set>
#include <tuple>

#include "cli/arguments.h"
#include "cli/continual_page.h"
#include "cli/run_report.h"
#include "retort/augment/siamese.h"
#include "retort/core/error.h"
#include "retort/core/file.h"
#include "retort/core/recipe_folder.h"
#include "retort/core/registry.h"
#include "retort/eval/continual.h"
#include "retort/eval/evaluate.h"
#include "retort/methods/distill.h"

namespace retort::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExamples =
    "Examples:\n"
    "  retort continual --stream class-incremental --steps 5 --data cifar-100-binary --method dm "
    "--images-per-class 20 --out runs/c\n"
    "  retort continual --stream class-incremental --steps 5 --data cifar-100-binary --method "
    "random --images-per-class 20 --out runs/c\n"
    "  retort continual --stream rotations --data mnist --method replay --out runs/r\n"
    "  retort continual --stream rotations --tasks 5 --samples-per-task 500 --memory 50 --data "
    "mnist "
    "--method dm --iterations 200 --out runs/r5\n\n"
    "Streams: class-incremental, rotations, permutations, many-permutations, incremental; options\n"
    "and defaults are those of the stream and the method: give both before --help.\n"
    "Methods: online (nothing is stored), replay (a reservoir of real images), and every method "
    "of\n"
    "`retort list methods`, whose set of a task is made when it arrives. While it is made, all\n"
    "samples of the task (--samples-per-task) are held at once and read many times; then they are\n"
    "gone. online and replay hold one batch.\n"
    "One folder holds one stream: the same command with another --method adds to its page. A run\n"
    "that was stopped goes on when its command is given again.\n";

const FolderKind kStreamFolder{"folder of a stream", "orders"};
const FolderKind kMethodFolder{"folder of a method's sets", "orders"};

bool is_baseline(const std::string& method) {
  return method == "online" || method == "replay";
}

/// Everything that one command line sets.
struct Continual {
  eval::ContinualOptions stream;
  methods::DistillOptions loop;
  data::DataOptions data;
  MachineOptions machine;
  std::vector<std::string> uses;
  std::string name, out;
  std::unique_ptr<methods::Method> method;  ///< null for the baselines
  std::unique_ptr<synthetic::ParametrisationKind> parametrisation;
  int64_t order = 0, task = 0;  ///< of a set's own recipe

  Continual(const std::string& stream_name, const std::string& method_name,
            const std::string& parametrisation_name) {
    const eval::StreamKind& kind = eval::find_stream(stream_name);
    stream.take(kind);
    loop.method = method_name;
    if (!is_baseline(method_name)) {
      std::vector<std::string> names = names_of(std::span(methods::method_table()));
      names.insert(names.end(), {"online", "replay"});
      if (std::find(names.begin(), names.end(), method_name) == names.end())
        throw ConfigError::unknown("choosing the method", "method", method_name, names);
      method = find_entry(std::span(methods::method_table()), "method", method_name).make();
      loop.take(method->defaults());
    }
    loop.parametrisation = parametrisation_name;
    parametrisation = find_entry(std::span(synthetic::parametrisation_table()), "parametrisation",
                                 parametrisation_name)
                          .make();
    loop.network = kind.network;
    loop.protocol = kind.protocol;
    loop.images_per_class = kind.once ? "auto" : "20";
    if (!kind.new_classes) loop.augmentation = "none";  // it knows upright images only
    uses = is_baseline(method_name) ? std::vector<std::string>{method_name}
           : kind.once              ? std::vector<std::string>{"retrain", "rehearsal"}
                                    : std::vector<std::string>{"retrain"};
  }

  const eval::StreamKind& kind() const { return eval::find_stream(stream.stream); }

  /// What the stored sets are made with.
  void declare_sets(OptionSet& set) {
    loop.declare(set);
    set.group("Method " + loop.method);
    method->declare(set);
    set.group("Parametrisation " + loop.parametrisation);
    parametrisation->declare(set);
  }

  /// The command line.
  void declare(OptionSet& set) {
    stream.declare(set);
    if (method) {
      set.add("uses", uses, "how the stored sets are used",
              {.choices = kind().once ? std::vector<std::string>{"retrain", "rehearsal"}
                                      : std::vector<std::string>{"retrain"}},
              Role::kExecution);
      set.add("name", name, "what to call this method with these options; empty: its name", {},
              Role::kExecution);
      declare_sets(set);
    } else {
      set.add("method", loop.method, "the method; `retort list methods` shows more");
      set.add("network", loop.network, "the network that learns");
      set.add("protocol", loop.protocol, "of methods with stored sets; one for all in a folder");
      set.add("seed", loop.seed, "seed of all random draws", {.min = 0});
    }
    set.group("Data");
    data.declare(set);
    machine.declare(set);
    set.group("Run");
    set.add("out", out, "the folder of the stream", {}, Role::kExecution);
  }

  /// What all methods in a folder share.
  void declare_shared(OptionSet& set) {
    stream.declare(set);
    set.add("network", loop.network, "");
    set.add("protocol", loop.protocol, "");
    set.add("seed", loop.seed, "");
    if (!kind().once) set.add("images_per_class", loop.images_per_class, "");
    data.declare(set);
  }

  /// What decides one stored set.
  void declare_task(OptionSet& set) {
    set.add("stream", stream.stream, "");
    set.add("tasks", stream.tasks, "");
    set.add("samples_per_task", stream.samples_per_task, "");
    set.add("order", order, "");
    set.add("task", task, "");
    declare_sets(set);
    data.declare(set);
  }

  void check() const {
    Problems problems;
    if (out.empty()) problems.add("missing: --out, the folder of the stream");
    if (!method && !kind().once)
      problems.add("'" + loop.method + "' learns streams that are seen once: " +
                   "rotations, permutations, many-permutations or incremental");
    if (name.empty() || name == "cache" || name.front() == '.' ||
        name.find_first_not_of(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") !=
            std::string::npos)
      problems.add("--name '" + name + "' is no name of letters, digits, - and _");
    if (uses.empty()) problems.add("--uses is empty: give retrain, rehearsal or both");
    if (loop.validate_every > 0)
      problems.add("--validate-every: a task has no validation part; leave it out");
    if (!loop.init_from.empty())
      problems.add("--init-from: the sets of tasks start from their own samples; leave it out");
    const bool automatic = kind().once && loop.images_per_class == "auto";
    if (!automatic && (loop.images_per_class.empty() ||
                       loop.images_per_class.find_first_not_of("0123456789") != std::string::npos))
      problems.add("--images-per-class takes a number here" +
                   std::string(kind().once ? ", or auto: what --memory allows" : "") + ", not '" +
                   loop.images_per_class + "'");
    const eval::Protocol& protocol =
        find_entry(std::span(eval::protocols()), "protocol", loop.protocol);
    if (protocol.ordered || protocol.training.loss != losses::Kind::kCrossEntropy)
      problems.add("--protocol " + loop.protocol +
                   ": sets of several tasks are learned together, in any order and by "
                   "cross-entropy: give dm, dc, rtp, short or demo");
    augment::parse_strategy(loop.augmentation == "auto" ? "none" : loop.augmentation);
    problems.raise("reading the options of 'retort continual'");
  }

  /// Bytes of images that a task's set may take; 0: counted in images per class.
  double budget_bytes(const data::Dataset& all) const {
    if (!kind().once) return 0;
    return static_cast<double>(stream.memory) / static_cast<double>(stream.tasks) *
           static_cast<double>(all.channels * all.height * all.width * int64_t{sizeof(float)});
  }

  /// Replaces "auto" by what the memory allows; ConfigError where that is nothing, or less than was
  /// asked for.
  void settle_images_per_class(const eval::TaskStream& drawn) {
    if (!kind().once || !method) return;
    const auto classes = static_cast<int64_t>(drawn.task(0).classes.size());
    const int64_t whole = stream.memory / (stream.tasks * classes);
    const bool automatic = loop.images_per_class == "auto",
               pixels = loop.parametrisation == "pixels";
    const int64_t each =
        automatic ? std::max<int64_t>(whole, 1) : std::stoll(loop.images_per_class);
    loop.images_per_class = std::to_string(each);
    if (each <= whole || !pixels) return;
    throw ConfigError(Report{
        "dividing the memory among the tasks",
        fmt::format("{} images for {} tasks are fewer than {} of each of a task's {} classes",
                    stream.memory, stream.tasks, each, classes),
        fmt::format("--memory {} or more", stream.tasks * classes * each),
        "or a --parametrisation that stores less than an image of each class"});
  }
};

/// Makes stored sets, each as a run folder below the method's.
class Condenser {
 public:
  Condenser(const Continual& command, const OptionSet& given, const data::Dataset& all,
            at::Device device, const Environment& environment)
      : command_(command), given_(given), all_(all), device_(device), environment_(environment) {}

  /// Refuses what the first set would refuse, before anything is on disk.
  void check(const eval::TaskStream& stream) const {
    const data::Dataset samples = stream.arrive(0);
    const Job job(*this, samples, 0, 0);
    if (!methods::RunFolder::started(job.folder, job.options)) methods::check_new_run(job.input());
    if (!command_.kind().once) return;
    const synthetic::Geometry images{
        std::vector<int64_t>(samples.class_names.size(),
                             std::stoll(job.settings.loop.images_per_class)),
        samples.channels, samples.height, samples.width};
    int64_t bytes = 0;
    for (const auto& [name, tensor] :
         job.settings.parametrisation->make({images, device_})->stored())
      bytes += static_cast<int64_t>(tensor.nbytes());
    check_budget(bytes, job.folder);
  }

  std::optional<synthetic::Bundle> operator()(const data::Dataset& samples, int64_t order,
                                              int64_t task) const {
    const Job job(*this, samples, order, task);
    if (!methods::RunFolder::started(job.folder, job.options)) methods::check_new_run(job.input());
    const methods::RunFolder folder(job.folder, job.options);
    if (!folder.finished(job.settings.loop.iterations)) {
      environment_.err << fmt::format("order {} of {}, task {} of {}: {} samples\n", order + 1,
                                      command_.stream.orders, task + 1, command_.stream.tasks,
                                      samples.train.size());
      if (methods::distill(job.input(), folder).stopped) return {};
    }
    synthetic::Bundle bundle = synthetic::load_bundle(folder.bundle());
    check_set(bundle, job.folder);
    return bundle;
  }

 private:
  /// The settings of one set, and all that a run of them takes.
  struct Job {
    Job(const Condenser& maker, const data::Dataset& task_samples, int64_t order, int64_t task)
        : owner(maker),
          samples(task_samples),
          settings(maker.command_.stream.stream, maker.command_.loop.method,
                   maker.command_.loop.parametrisation),
          folder(fs::path(maker.command_.out) / maker.command_.name /
                 fmt::format("order{}", order) / fmt::format("task{}", task)) {
      OptionSet all;
      settings.declare(all);
      Problems none;
      for (const Option& option : maker.given_.all()) all.set(option.name, option.text(), "", none);
      none.raise("copying the options");
      settings.order = order;
      settings.task = task;
      // Sets of different tasks draw differently; 31 bits are a seed that any reader takes.
      settings.loop.seed = Stream(static_cast<uint64_t>(settings.loop.seed), "continual.condense",
                                  static_cast<uint64_t>(order), static_cast<uint64_t>(task))
                               .below(int64_t{1} << 31);
      settings.declare_task(options);
      network = nets::make_network(settings.loop.network, {samples.channels, samples.height,
                                                           samples.width, samples.classes()});
    }
    methods::DistillInput input() const {
      return {samples,
              *network,
              *settings.method,
              *settings.parametrisation,
              settings.loop,
              portable_recipe(options, samples.name),
              owner.device_,
              owner.command_.machine.threads_used,
              owner.environment_.progress(),
              owner.environment_.stop,
              {}};
    }

    const Condenser& owner;
    const data::Dataset& samples;
    Continual settings;
    fs::path folder;
    OptionSet options;
    std::unique_ptr<nets::Network> network;
  };

  /// The memory is counted in floats of images; hard labels are free, as published.
  void check_set(const synthetic::Bundle& bundle, const fs::path& folder) const {
    if (bundle.step_learning_rates.defined())
      throw ConfigError(Report{"storing the set '" + folder.string() + "'",
                               "it is to be learned in its own order of steps, which cannot be "
                               "joined with those of other tasks",
                               "a method whose sets are learned in any order",
                               {}});
    if (bundle.soft_labels.defined() && bundle.soft_labels.lt(0).any().item<bool>())
      throw ConfigError(Report{"storing the set '" + folder.string() + "'",
                               "its labels are targets of a regression, not weights of classes",
                               "a method whose labels can be learned by cross-entropy",
                               {}});
    check_budget(bundle.stored_bytes() - bundle.classes() * static_cast<int64_t>(sizeof(int64_t)),
                 folder);
  }

  void check_budget(int64_t bytes, const fs::path& folder) const {
    const double budget = command_.budget_bytes(all_);
    const auto taken = static_cast<double>(bytes);
    if (budget == 0 || taken <= budget) return;
    throw ConfigError(Report{
        "storing the set '" + folder.string() + "'",
        fmt::format("it takes {}, more than its task's part of the memory", format_bytes(taken)),
        fmt::format("{} a task: {} images for {} tasks", format_bytes(budget),
                    command_.stream.memory, command_.stream.tasks),
        "lower --images-per-class or the parametrisation's size, or raise --memory, and "
        "choose another --name"});
  }

  const Continual& command_;
  const OptionSet& given_;
  const data::Dataset& all_;
  const at::Device device_;
  const Environment& environment_;
};

/// The records of a folder: what is known, and what is added.
class Ledger {
 public:
  Ledger(const fs::path& path, std::string name)
      : name_(std::move(name)), writer_(path, std::numeric_limits<int64_t>::max()) {
    for (const Json& record : read_records(path)) {
      const std::string kind = record.value("kind", "");
      if (kind == "order") orders_.insert(record.value("order", int64_t{-1}));
      if (kind == "learned" && record.value("name", "") == name_)
        known_.insert({record.value("use", ""), record.value("order", int64_t{-1}),
                       record.value("task", int64_t{-1})});
    }
  }
  bool known(const std::string& use, int64_t order, int64_t task) const {
    return known_.contains({use, order, task});
  }
  void begin(const eval::TaskStream& stream) {
    if (orders_.insert(stream.order()).second) writer_.write(stream.record());
  }
  void add(const eval::Learned& learned) {
    Json record = learned.json();
    record["name"] = name_;
    writer_.write(record);
  }

 private:
  std::string name_;
  RecordWriter writer_;
  std::set<std::tuple<std::string, int64_t, int64_t>> known_;
  std::set<int64_t> orders_;
};

train::TrainOptions training_of(const Continual& command, const data::Dataset& data) {
  train::TrainOptions training =
      find_entry(std::span(eval::protocols()), "protocol", command.loop.protocol).training;
  if (training.augmentation == "auto") training.augmentation = augment::default_strategy(data.name);
  if (command.stream.evaluation_epochs > 0) training.epochs = command.stream.evaluation_epochs;
  return training;
}

Json to_json(const Spread& spread) {
  return {{"mean", spread.mean}, {"deviation", spread.deviation}};
}

Json to_json(const ContinualLine& line) {
  Json curve = Json::array();
  for (const auto& seen : line.seen)
    if (!seen.empty()) curve.push_back(to_json(spread_of(seen)));
  return {{"name", line.name},
          {"use", line.use},
          {"orders", line.orders},
          {"accuracy_after_task", curve},
          {"retained_accuracy", to_json(spread_of(line.transfers, &eval::Transfer::retained))},
          {"learning_accuracy", to_json(spread_of(line.transfers, &eval::Transfer::learning))},
          {"backward_transfer", to_json(spread_of(line.transfers, &eval::Transfer::backward))},
          {"forward_transfer", to_json(spread_of(line.transfers, &eval::Transfer::forward))},
          {"stored_bytes", line.stored_bytes},
          {"training_steps", line.steps},
          {"buffered_samples", line.buffered_samples}};
}

void print(const Environment& environment, const Continual& command) {
  const fs::path folder = command.out, page = write_report(folder);
  const auto lines = continual_lines(folder);
  if (command.machine.json) {
    Json all = Json::array();
    for (const ContinualLine& line : lines) all.push_back(to_json(line));
    environment.out << json_text(Json{{"out", folder.string()},
                                      {"stream", command.stream.stream},
                                      {"tasks", command.stream.tasks},
                                      {"methods", all},
                                      {"report", page.string()}},
                                 2)
                    << "\n";
    return;
  }
  std::vector<std::vector<std::string>> rows{
      {"method", "RA %", "LA %", "BTI", "stored", "samples held", "orders"}};
  for (const ContinualLine& line : lines) {
    if (line.transfers.empty()) continue;
    const Spread retained = spread_of(line.transfers, &eval::Transfer::retained);
    const Spread learning = spread_of(line.transfers, &eval::Transfer::learning);
    const Spread backward = spread_of(line.transfers, &eval::Transfer::backward);
    rows.push_back({line.title(), percent(retained.mean, retained.deviation),
                    percent(learning.mean, learning.deviation),
                    percent(backward.mean, backward.deviation),
                    format_bytes(static_cast<double>(line.stored_bytes)),
                    std::to_string(line.buffered_samples), std::to_string(line.orders)});
  }
  environment.out << fmt::format("{}, {} tasks, {}\n\n", command.stream.stream,
                                 command.stream.tasks, command.loop.network)
                  << aligned(rows) << "\nreport: " << page.string() << "\n";
}

}  // namespace

int run_continual(const Environment& environment, const Arguments& arguments) {
  auto deciding = [&](const char* option, const char* otherwise) {
    const std::string given = peek(arguments, option);
    return given.empty() ? otherwise : given;
  };
  Continual command(deciding("stream", "class-incremental"), deciding("method", "dm"),
                    deciding("parametrisation", "pixels"));
  OptionSet given, shared;
  command.declare(given);
  const Usage usage{"continual",
                    "Learns tasks that come one after another, with a stored set of each as the "
                    "memory.",
                    kExamples};
  if (!parse(environment, usage, arguments, given)) return 0;
  if (command.name.empty()) {
    command.name = command.loop.method;
    if (command.loop.parametrisation != "pixels")
      command.name += "-" + command.loop.parametrisation;
  }
  command.check();
  command.stream.seed = command.loop.seed;
  command.declare_shared(shared);
  const fs::path folder = command.out;
  folder_started(folder, shared, kStreamFolder);
  if (command.method) folder_started(folder / command.name, given, kMethodFolder);

  const at::Device device = command.machine.apply(environment);
  const data::Dataset data = data::open_dataset(command.data);
  const eval::TaskStream first(data, command.stream, 0);
  const std::string recipe = given.toml();  // as it was asked for
  command.settle_images_per_class(first);
  const auto network = nets::make_network(command.loop.network,
                                          {data.channels, data.height, data.width, data.classes()});
  const Condenser condense(command, given, data, device, environment);
  if (command.method) condense.check(first);

  const FolderLock lock(folder, kStreamFolder, false);
  folder_started(folder, shared, kStreamFolder);
  write_atomically(folder / "recipe.toml", shared.toml());
  if (command.method) write_atomically(folder / command.name / "recipe.toml", recipe);
  Ledger ledger(folder / "records.jsonl", command.name);
  eval::ContinualInput input{data,         *network, command.stream, training_of(command, data),
                             command.uses, {},       device,         command.name};
  if (command.method) input.condense = condense;
  input.progress = environment.progress();
  input.stop = environment.stop;
  input.known = [&](const std::string& use, int64_t order, int64_t task) {
    return ledger.known(use, order, task);
  };
  input.begin = [&](const eval::TaskStream& begun) { ledger.begin(begun); };
  input.record = [&](const eval::Learned& learned) { ledger.add(learned); };
  if (!eval::learn_continually(input)) {
    environment.err << "stopped: give the same command to go on\n";
    return kStopped;
  }
  print(environment, command);
  return 0;
}

}  // namespace retort::cli
