#include "eval/search.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <mutex>

#include "core/sizes.h"
#include "data/in_parallel.h"
#include "eval/cost.h"
#include "retort/core/device.h"
#include "retort/core/error.h"

namespace retort::eval {
namespace {

double since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// A network to be trained on a proxy.
struct Job {
  size_t network, proxy;
  double seconds = 0;  ///< expected
};

std::string key_of(const SearchRun& run, const std::string& network, const Proxy& proxy) {
  const train::TrainOptions& training = proxy.training;
  return json_text(Json{{"network", network},
                        {"proxy", proxy.identity},
                        {"epochs", training.epochs},
                        {"batch_size", training.batch_size},
                        {"rate", training.learning_rate},
                        {"schedule", training.schedule},
                        {"augmentation", training.augmentation},
                        {"seed", run.options.seed},
                        {"tested", proxy.whole},
                        {"validation", run.data.validation.size()}});
}

std::unique_ptr<nets::Network> network_of(const SearchRun& run, const std::string& name) {
  const data::Dataset& data = run.data;
  return nets::make_network(name, {data.channels, data.height, data.width, data.classes()});
}

/// Nothing after a stop.
std::optional<Trial> try_network(const SearchRun& run, const std::string& name,
                                 const Proxy& proxy) {
  const auto begin = std::chrono::steady_clock::now();
  const auto network = network_of(run, name);
  train::Callbacks callbacks;
  callbacks.stop = run.stop;
  Trial trial;
  try {
    const train::ModelState trained = train::train(
        *network, *proxy.source, proxy.training,
        {static_cast<uint64_t>(run.options.seed), "eval.search", 0}, run.device, callbacks);
    if (run.stop && run.stop->requested()) return {};
    const auto accuracy = [&](const data::Split& split) {
      return train::accuracy(*network, trained, split, *proxy.preprocessing, run.device);
    };
    trial.validation = accuracy(run.data.validation);
    trial.seconds = since(begin);  // what a search takes; the test is ours
    if (proxy.whole) trial.test = accuracy(run.data.test);
  } catch (const StateError&) {  // its loss is not finite: it is no network to choose
    trial.diverged = true;
    trial.seconds = since(begin);
  }
  return trial;
}

Json to_json(const SearchRun& run, const Job& job, const Trial& trial) {
  const Proxy& proxy = run.proxies.all()[job.proxy];
  Json json{{"network", run.networks[job.network]},
            {"proxy_name", proxy.name},
            {"validation", trial.validation},
            {"seconds", trial.seconds},
            {"diverged", trial.diverged}};
  if (proxy.whole) json["test"] = trial.test;
  return json;
}

Trial trial_of(const Json& json) {
  Trial trial;
  trial.validation = json.at("validation").get<double>();
  trial.test = json.value("test", 0.0);
  trial.seconds = json.at("seconds").get<double>();
  trial.diverged = json.at("diverged").get<bool>();
  return trial;
}

TrainingCost measure(const SearchRun& run, const std::string& name) {
  const Proxy& proxy = run.proxies.all().back();
  TrainingCost cost = measure_training(*network_of(run, name), {{proxy.source, 0}}, proxy.training,
                                       run.data.validation, *proxy.preprocessing, run.device);
  cost.step /= static_cast<double>(std::min(proxy.images, proxy.training.batch_size));
  return cost;
}

/// `cost.step` is that of an image.
double seconds_of(const SearchRun& run, const TrainingCost& cost, const Proxy& proxy) {
  const int64_t seen = proxy.images * train::passes(proxy.training);
  const int64_t tested = run.data.validation.size() + (proxy.whole ? run.data.test.size() : 0);
  return cost.step * static_cast<double>(seen) + cost.test * static_cast<double>(tested);
}

/// Runs work(i) for 0..count-1, networks side by side on a CPU.
void side_by_side(const SearchRun& run, int64_t count, const std::function<void(int64_t)>& work) {
  if (!run.device.is_cpu() || run.threads < 2) {
    for (int64_t i = 0; i < count; ++i) work(i);
    return;
  }
  const ThreadScope held(1);  // BLAS has one number of threads for the whole process
  data::in_parallel(0, count, run.threads, [&](int64_t i) {
    const ThreadScope one(1);
    work(i);
  });
}

/// What is not known yet of this process's share, and how long it will take; the longest first, so
/// that none is left alone at the end. All processes see the same before any of them goes on.
std::vector<Job> missing_jobs(const SearchRun& run) {
  std::vector<Job> missing, jobs;
  for (size_t n = 0; n < run.networks.size(); ++n)
    for (size_t p = 0; p < run.proxies.all().size(); ++p)
      if (!run.kept.find(key_of(run, run.networks[n], run.proxies.all()[p])))
        missing.push_back({n, p});
  run.group.barrier();
  for (size_t i = to_size(run.group.rank()); i < missing.size(); i += to_size(run.group.size()))
    jobs.push_back(missing[i]);
  std::vector<size_t> networks;
  for (const Job& job : jobs)
    if (networks.empty() || networks.back() != job.network) networks.push_back(job.network);
  std::vector<TrainingCost> costs(run.networks.size());
  side_by_side(run, std::ssize(networks), [&](int64_t i) {
    const size_t n = networks[to_size(i)];
    if (!run.stop || !run.stop->requested()) costs[n] = measure(run, run.networks[n]);
  });
  for (Job& job : jobs)
    job.seconds = seconds_of(run, costs[job.network], run.proxies.all()[job.proxy]);
  std::ranges::stable_sort(jobs, std::greater(), &Job::seconds);
  return jobs;
}

/// The best on the validation part; the first of equal ones.
size_t best_of(const std::vector<double>& accuracies) {
  return to_size(std::max_element(accuracies.begin(), accuracies.end()) - accuracies.begin());
}

SearchResult gathered(const SearchRun& run) {
  SearchResult result{run.networks, {}, {}, run.data.test.size(), run.data.validation.size()};
  for (const Proxy& proxy : run.proxies.all()) {
    ProxyResult& found = result.proxies.emplace_back();
    found.name = proxy.name;
    found.images = proxy.images;
    found.bytes = proxy.bytes;
    found.steps = proxy.steps();
    for (const std::string& network : run.networks) {
      const Trial trial = trial_of(*run.kept.find(key_of(run, network, proxy)));
      found.validation.push_back(trial.validation);
      found.seconds += trial.seconds;
      found.diverged += trial.diverged ? 1 : 0;
      if (proxy.whole) result.whole.push_back(trial.test);
    }
    found.chosen = run.networks[best_of(found.validation)];
  }
  if (result.whole.empty()) return result;
  const auto seed = static_cast<uint64_t>(run.options.seed);
  for (ProxyResult& proxy : result.proxies) {
    proxy.accuracy = result.whole[best_of(proxy.validation)];
    proxy.all = correlate(proxy.validation, result.whole, seed);
    for (const int64_t top : run.options.top_counts())
      if (top < std::ssize(run.networks))
        proxy.top.push_back(correlate_top(proxy.validation, result.whole, to_size(top), seed));
  }
  return result;
}

}  // namespace

double remaining_seconds(const SearchRun& run) {
  double seconds = 0;
  for (const Job& job : missing_jobs(run)) seconds += job.seconds;
  return seconds;
}

std::optional<SearchResult> search(const SearchRun& run) {
  const auto stopped = [&] { return run.stop && run.stop->requested(); };
  const std::vector<Job> mine = missing_jobs(run);
  double expected = 0, done = 0;
  for (const Job& job : mine) expected += job.seconds;
  if (run.style.out && expected > 0)
    *run.style.out << fmt::format("{} trainings, about {} on {} thread{}\n", mine.size(),
                                  format_duration(expected / std::max(1, run.threads)), run.threads,
                                  run.threads == 1 ? "" : "s");
  std::mutex mutex;
  {
    // Shares of the expected time: networks differ a hundredfold.
    constexpr double kParts = 1000;
    Progress progress(run.style, "search, thousandths of the time", static_cast<int64_t>(kParts));
    side_by_side(run, std::ssize(mine), [&](int64_t i) {
      const Job& job = mine[to_size(i)];
      if (stopped()) return;
      const Proxy& proxy = run.proxies.all()[job.proxy];
      const auto trial = try_network(run, run.networks[job.network], proxy);
      if (!trial) return;
      run.kept.add(key_of(run, run.networks[job.network], proxy), to_json(run, job, *trial));
      const std::lock_guard<std::mutex> lock(mutex);
      done += job.seconds;
      progress.update(static_cast<int64_t>(kParts * done / expected));
    });
  }
  if (run.group.any(stopped())) return {};
  run.group.barrier();
  run.kept.refresh();
  return gathered(run);
}

}  // namespace retort::eval
