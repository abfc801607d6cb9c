// The program's commands as functions: words and a host go in, JSON and notes come out.
#include <pybind11/stl.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/command.h"
#include "cli/host.h"
#include "cli/program.h"
#include "core/registry.h"
#include "core/version.h"
#include "data_handle.h"
#include "learner.h"
#include "process_group.h"
#include "retort/core/error.h"
#include "retort/core/options.h"

namespace retort::python {
namespace {

py::object parsed(const Json& json) {
  return py::module_::import("json").attr("loads")(json_text(json));
}

/// The functions that Python gave, by name; absent or None: not told. What a host is given points
/// here: copies of it are made and dropped without the GIL.
class Listeners {
 public:
  Listeners(const py::dict& functions, Ears& ears)
      : iteration_(find(functions, "iteration")),
        record_(find(functions, "record")),
        progress_(find(functions, "progress")),
        ears_(ears) {}

  void fill(cli::Host& host) {
    if (iteration_)
      host.iteration = [this](int64_t done, double loss) {
        ears_.call([&] { iteration_(done, loss); });
      };
    if (record_)
      host.record = [this](const Json& record) { ears_.call([&] { record_(parsed(record)); }); };
    if (progress_)
      host.progress = [this](const ProgressReport& report) {
        ears_.call([&] { progress_(report.label, report.done, report.total, report.loss); });
      };
  }

 private:
  static py::object find(const py::dict& functions, const char* name) {
    if (!functions.contains(name)) return {};
    py::object found = functions[name];
    return found.is_none() ? py::object() : found;
  }

  py::object iteration_, record_, progress_;
  Ears& ears_;
};

struct Words {
  std::string out, err;
  int code = 0;
};

/// All processes of the group make the call and get what the first has to say.
Words run(const std::string& command, const std::vector<std::string>& arguments,
          const cli::Host& host, StopFlag& stop, const ProcessGroup& group) {
  std::ostringstream out, err;
  cli::Environment environment{out, err, false, 80, &stop, {}, false, &host};
  environment.group = &group;
  const LongCall call;
  try {
    const int code = cli::run_in_group(
        environment, find_entry(std::span(cli::command_table()), "command", command), arguments);
    return {group.broadcast(out.str()), group.broadcast(err.str()),
            static_cast<int>(group.agree(code))};
  } catch (const PeerError&) {
    throw;
  } catch (const Error& error) {
    const Failure failure = group.fail({error.exit_code(), error.what()});
    if (failure.message == error.what()) throw;
    throw PeerError(failure);
  } catch (const std::exception& error) {
    group.fail({1, error.what()});
    throw;
  }
}

/// Runs a command; (exit code, standard output, messages). What a function raised comes first,
/// then Ctrl-C: in both cases the command has come to its safe point.
py::tuple call(const std::string& command, const std::vector<std::string>& arguments,
               const std::shared_ptr<DataHandle>& data, const std::shared_ptr<MethodHandle>& method,
               const py::dict& functions, const py::dict& learners, const py::object& processes) {
  StopFlag stop;
  Ears ears(stop);
  Listeners listeners(functions, ears);
  cli::Host host;
  listeners.fill(host);
  if (data)
    host.open = [&data](const data::DataOptions& options, const std::filesystem::path& cache,
                        const ProgressStyle& progress) {
      return data->open(options, cache, progress);
    };
  if (method) host.method = method->entry;
  host.learners = learners_of(learners);
  std::optional<PythonGroup> group;
  if (!processes.is_none()) group.emplace(processes);
  Words words;
  {
    const Interruptible interruptible(stop);
    words = run(command, arguments, host, stop, group ? *group : ProcessGroup::alone());
  }
  ears.raise();
  Interruptible::raise_pending();
  if (words.code == cli::kStopped)
    throw StateError(ErrorMessage{"running 'retort " + command + "'",
                                  "another process of the job was stopped",
                                  {},
                                  "make the same call to go on"});
  return py::make_tuple(words.code, words.out, in_python(words.err));
}

py::dict describe(const Option& option) {
  py::dict about;
  about["name"] = option.name;
  about["help"] = in_python(option.help);
  about["group"] = option.group;
  about["type"] = option.type_name();
  about["default"] = option.text();
  about["choices"] = option.limits.choices;
  return about;
}

/// The options of a command, which may depend on some of them (a method has options of its own).
py::list options(const std::string& command, const std::vector<std::string>& arguments) {
  py::list all;
  std::ostringstream nowhere;
  cli::Environment environment{nowhere, nowhere};
  environment.survey = [&](const OptionSet& declared, const std::vector<cli::Positional>&) {
    for (const Option& option : declared.all()) all.append(describe(option));
  };
  find_entry(std::span(cli::command_table()), "command", command).run(environment, arguments);
  return all;
}

}  // namespace

void bind_runs(py::module_& module) {
  py::class_<MethodHandle, std::shared_ptr<MethodHandle>>(module, "Method")
      .def_property_readonly("name", [](const MethodHandle& method) { return method.entry.name; });
  module.def("run", &call, py::arg("command"), py::arg("arguments"), py::arg("data") = nullptr,
             py::arg("method") = nullptr, py::arg("functions") = py::dict(),
             py::arg("learners") = py::dict(), py::arg("processes") = py::none());
  module.def("options", &options, py::arg("command"),
             py::arg("arguments") = std::vector<std::string>{});
  module.def("version", &version);
}

}  // namespace retort::python
