"use strict";
(() => {
  const by = (id) => document.getElementById(id);
  const SUPER = { "-": "⁻", "0": "⁰", "1": "¹", "2": "²", "3": "³", "4": "⁴", "5": "⁵", "6": "⁶", "7": "⁷", "8": "⁸", "9": "⁹" };
  const PLAIN = Object.fromEntries(Object.entries(SUPER).map(([k, v]) => [v, k]));

  const power = (v, digits = 2) => {
    if (!Number.isFinite(v)) return "–";
    const [mantissa, exponent] = v.toExponential(digits - 1).split("e");
    const raised = "10" + String(Number(exponent)).split("").map((c) => SUPER[c]).join("");
    return Number(mantissa) === 1 ? raised : mantissa + "×" + raised;
  };
  const significant = (v, digits = 4) => {
    if (!Number.isFinite(v)) return "–";
    if (v === 0) return "0";
    const exponent = Number(v.toExponential(digits - 1).split("e")[1]);
    if (exponent < -4 || exponent >= Math.max(digits + 1, 6)) return power(v, digits);
    return v.toFixed(Math.max(digits - 1 - exponent, 0));
  };
  const count = (v) => {
    if (!Number.isFinite(v)) return "–";
    if (v < 1 || v >= 1e15) return v >= 1e5 ? power(v) : significant(v, 3);
    for (const [unit, suffix] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]]) {
      if (v >= 0.9995 * unit) return (v / unit).toFixed(v / unit < 9.95 ? 1 : 0) + suffix;
    }
    return significant(v, 3);
  };
  const times = (v) => (v >= 1e5 || v < 1e-3 ? power(v) : significant(Number(v.toPrecision(v >= 100 ? 3 : 2)), v >= 100 ? 3 : 2)) + "×";

  const read = (entry) => {
    const ascii = entry.trim().replace(/[⁻⁰¹²³⁴-⁹]/g, (c) => PLAIN[c]).replace(/[,_\s]/g, "");
    const written = ascii.replace(/^([\d.]+)[x×*·]10\^?/i, "$1e").replace(/^10\^/, "1e").replace(/^10(?=\d{2}$)/, "1e");
    const unit = /^([\d.]+(?:e[+-]?\d+)?)$/i.exec(written);
    return unit ? Number(unit[1]) : NaN;
  };

  const whatIf = () => {
    const source = by("whatif-data");
    if (!source) return;
    const data = JSON.parse(source.textContent);
    const box = by("whatif-budget"), slider = by("whatif-slider"), note = by("whatif-note");
    const logs = data.C.map(Math.log);
    const last = data.C.length - 1;

    // Log-log interpolation between the two neighbours; a missing neighbour gives no number.
    const at = (column, budget) => {
      const x = Math.log(budget);
      let k = 0;
      while (k < last - 1 && logs[k + 1] < x) k += 1;
      const [a, b] = [data[column][k], data[column][k + 1]];
      if (!(a > 0) || !(b > 0)) return NaN;
      const share = (x - logs[k]) / (logs[k + 1] - logs[k]);
      return Math.exp(Math.log(a) + share * (Math.log(b) - Math.log(a)));
    };
    const range = (name, budget, write) => {
      const [low, high] = [at(name + "_low", budget), at(name + "_high", budget)];
      return Number.isFinite(low) && Number.isFinite(high) ? write(low) + " – " + write(high) : "";
    };
    const say = (id, shown, digits) => {
      by(id).textContent = shown;
      if (digits !== undefined) by(id).title = Number.isFinite(digits) ? String(digits) : "";
    };
    const reach = (budget) => {
      if (!(data.largest > 0)) return "–";
      const ratio = budget / data.largest;
      return ratio > 1 ? times(ratio) + " beyond the largest fitted run" : "within the fitted runs (" + times(ratio) + " the largest)";
    };
    const mark = (budget, n, d, loss) => {
      document.querySelectorAll(".whatif-mark").forEach((ring) => {
        const svg = ring.closest("svg");
        const [x, y] = ring.dataset.plane === "N D" ? [n, d] : [budget, loss];
        const place = (value, scale) => {
          const [low, high, start, end] = scale.split(",").map(Number);
          return start + (Math.log10(value) - low) / (high - low) * (end - start);
        };
        const [px, py] = [place(x, svg.dataset.x), place(y, svg.dataset.y)];
        const shown = Number.isFinite(px) && Number.isFinite(py);
        ring.classList.toggle("on", shown);
        if (shown) {
          ring.setAttribute("cx", px.toFixed(1));
          ring.setAttribute("cy", py.toFixed(1));
        }
      });
    };
    const show = (budget) => {
      const covered = budget >= data.C[0] * (1 - 1e-9) && budget <= data.C[last] * (1 + 1e-9);
      const [n, d, loss] = covered ? ["N_opt", "D_opt", "L_opt"].map((c) => at(c, budget)) : [NaN, NaN, NaN];
      say("whatif-N", count(n), n);
      say("whatif-D", count(d), d);
      say("whatif-ratio", significant(d / n, 2), d / n);
      say("whatif-loss", significant(loss), loss);
      say("whatif-N-interval", covered ? range("N", budget, count) : "");
      say("whatif-D-interval", covered ? range("D", budget, count) : "");
      say("whatif-interval", covered ? range("L", budget, significant) : "");
      say("whatif-reach", Number.isFinite(budget) && budget > 0 ? reach(budget) : "–");
      by("whatif-reach").classList.toggle("far", budget > 10 * data.largest);
      note.hidden = covered;
      box.setAttribute("aria-invalid", String(!covered));
      if (!covered) {
        note.textContent = Number.isFinite(budget)
          ? "Outside the path of this study, " + power(data.C[0]) + " to " + power(data.C[last]) + " FLOPs. Run the study again with this budget."
          : "Not a number. Write a budget such as 3e22 or 3×10^22.";
      }
      mark(budget, n, d, loss);
    };
    const announce = () => {
      by("whatif-said").textContent = "N* " + by("whatif-N").textContent + ", D* " + by("whatif-D").textContent +
        ", loss " + by("whatif-loss").textContent + ", " + by("whatif-reach").textContent;
    };
    const short = (v) => v.toExponential(3).replace(/\.?0*e\+?/, "e");

    box.addEventListener("input", () => {
      const budget = read(box.value);
      if (budget > 0) {
        slider.value = String(Math.log10(budget));
        slider.setAttribute("aria-valuetext", power(budget) + " FLOPs");
      }
      show(budget);
    });
    slider.addEventListener("input", () => {
      const budget = Math.min(Math.max(10 ** Number(slider.value), data.C[0]), data.C[last]);
      box.value = short(budget);
      slider.setAttribute("aria-valuetext", power(budget) + " FLOPs");
      show(budget);
    });
    slider.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -0.05, ArrowDown: -0.05, ArrowRight: 0.05, ArrowUp: 0.05, PageDown: -0.5, PageUp: 0.5 }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      slider.value = String(Number(slider.value) + step);
      slider.dispatchEvent(new Event("input", { bubbles: true }));
      announce();
    });
    [box, slider].forEach((control) => control.addEventListener("change", announce));
    by("whatif-controls").hidden = false;
    by("whatif-outputs").hidden = false;
    slider.setAttribute("aria-valuetext", power(data.budget) + " FLOPs");
    show(data.budget);
  };

  const copying = () => {
    // A spreadsheet runs a pasted cell that starts like a formula; a quote keeps it text.
    const cell = (td) => {
      const numeric = td.closest("table").rows[0].cells[td.cellIndex].classList.contains("n");
      const shown = td.title || td.textContent;
      const flat = shown.replace(/\s+/g, " ").trim();
      return /^[=+@\-]/.test(flat) && !Number.isFinite(Number(flat)) && !numeric ? "'" + flat : flat;
    };
    document.querySelectorAll("button[data-copy]").forEach((button) => {
      const table = by(button.dataset.copy);
      button.hidden = false;
      button.addEventListener("click", async () => {
        const rows = Array.from(table.rows, (row) => Array.from(row.cells, cell).join("\t"));
        let done = "Copied";
        try {
          await navigator.clipboard.writeText(rows.join("\n"));
        } catch {
          getSelection().selectAllChildren(table);
          done = "Selected: press Ctrl+C";
        }
        button.textContent = done;
        setTimeout(() => { button.textContent = "Copy"; }, 2500);
      });
    });
  };

  const residuals = () => {
    const choice = by("residual-law");
    if (!choice) return;
    choice.closest("label").hidden = false;
    choice.addEventListener("change", () => {
      document.querySelectorAll("[data-law]").forEach((part) => { part.hidden = part.dataset.law !== choice.value; });
    });
  };

  whatIf();
  copying();
  residuals();
})();
