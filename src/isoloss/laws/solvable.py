"""Laws that are exact solutions of a model: regression on random features, best ridge or flow.

Targets are linear in latent features whose variances fall as a power of their rank. A model sees N
random mixtures of them and D examples, and is fitted by ridge regression at the ridge that is best
for each pair; see Maloney, Roberts and Sully 2022, arXiv:2210.16859. What is free in a fit is what
a real network does not share with that model: the unit of loss, the floor, how steeply the spectrum
falls, and how many examples count as much as one feature.

The same model trained by gradient flow, with data as time, is in Bordelon, Atanasov and Pehlevan
2024, arXiv:2402.01092.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from isoloss.laws.flow import B_MOST, BETA_MOST
from isoloss.laws.law import Law, Parameter


def _shared() -> tuple[Parameter, ...]:
    return (
        Parameter(name="E", start=(0.1, 1.0), unit="L", meaning="irreducible loss"),
        Parameter(name="A", unit="L*N**alpha", meaning="amplitude of model size"),
        Parameter(
            name="alpha", start=(0.08, 1.2), upper=20.0, meaning="exponent of size and of data"
        ),
        Parameter(
            name="rho",
            unit="D/N",
            start=(1e-2, 1e2),
            meaning="examples that count as one parameter",
        ),
    )


def random_features() -> Law:
    r"""Random features at the best ridge, in the limit of infinitely many latent ones.

    With :math:`n = 1/N`, :math:`d = \rho/D` and spectrum :math:`i^{-(1+\alpha)}`

    .. math::

        L = E + \frac{A\,w^\alpha}{1 - \frac{\alpha-1}{\alpha+1}\,\frac{nd}{w^2}}, \qquad
        w = \tfrac12\Bigl(n + d + \sqrt{(n-d)^2 + \tfrac{8\,nd}{\alpha(1+\alpha)}}\Bigr)

    where 1/w is the effective number of features learned. With either resource endless the other
    follows the power law ``A N^-alpha`` or ``A (rho/D)^alpha``; the two sides may be exchanged; and
    at alpha = 1 the shortages add, ``A (1/N + rho/D)``. Below it they aggravate each other, above
    it the larger dominates, with no exponent to say how much. The best split of a product N D is
    ``D = rho N`` at every budget.

    Notes
    -----
    The moments of the spectrum are :math:`z \propto \kappa^{-1/(1+\alpha)}` and
    :math:`q = z\alpha/(1+\alpha)`, the loss is proportional to
    :math:`N D \kappa (z - q) / (N D - z^2 - q (N + D - 2 z))`, and it is stationary in the ridge
    where :math:`\frac{(\alpha+2)(\alpha-1)}{\alpha+1} z^2 - \alpha (N+D) z + \alpha N D = 0`.
    Written with :math:`w = 1/z` neither the root nor the loss holds a difference of large numbers.

    Examples
    --------
    >>> law = random_features()
    >>> law({"E": 0.0, "A": 5.0, "alpha": 1.0, "rho": 20.0}, {"N": 100.0, "D": 1000.0})
    array([0.15])
    """
    width = "(1/N + rho/D + sqrt((1/N - rho/D)**2 + 8*rho/(N*D)/(alpha*(1 + alpha))))/2"
    return Law(
        name="random_features",
        formula=(f"E + A*({width})**alpha/(1 - (alpha - 1)/(alpha + 1)*rho/(N*D)*({width})**(-2))"),
        axes=("N", "D"),
        parameters=_shared(),
        scaled_axes=("N", "D", "L"),
        source=(
            "random-feature model of Maloney et al. 2022, arXiv:2210.16859, infinite latent space, "
            "no noise, best ridge; closed form derived from its moments"
        ),
        description=(
            "an exact solution with one exponent, whose interaction of the two shortages is no "
            "free parameter; it advises the same D/N at every budget"
        ),
    )


def random_features_finite() -> Law:
    r"""Random features at the best ridge, with a last latent feature and noise on the labels.

    The power law of `random_features` holds while N and D/rho are far below M, the number of
    latent features in parameters. Beyond it there is nothing left to learn: the loss falls to E,
    or, with noise on the labels, to what D examples still confuse. ``noise`` is the variance of
    that noise over the loss that the power law would have at N = M; the floor E holds whatever
    of it the measured loss shows as well. Only ratios to M occur, so that the size of a feature in
    parameters, which runs cannot tell from M and A, is no parameter. See `isoloss.laws.ridge` for
    the equations; ranks are counted as if continuous, which errs by about ``1/N`` of the loss
    where parameters are features.

    Examples
    --------
    >>> law = random_features_finite()
    >>> theta = {"E": 1.0, "A": 5.0, "alpha": 0.5, "rho": 20.0, "M": 1e8, "noise": 0.0}
    >>> law(theta, {"N": [1e4, 1e6, 1e8], "D": 1e12}).round(4)
    array([1.0496, 1.0046, 1.    ])
    """
    return Law(
        name="random_features_finite",
        formula="E + A*M**-alpha*best_ridge(M/N, rho*M/D, alpha, noise)",
        axes=("N", "D"),
        parameters=(
            *(replace(p, lower=0.02) if p.name == "alpha" else p for p in _shared()),
            Parameter(
                name="M", unit="N", start=(1.0, 1e4), meaning="parameters worth all features"
            ),
            Parameter(
                name="noise",
                start=(1e-3, 10.0),
                meaning="noise of labels over the power law's loss at N = M",
            ),
        ),
        scaled_axes=("N", "D", "L"),
        source=(
            "random-feature model of Maloney et al. 2022, arXiv:2210.16859, finite latent space, "
            "noise on labels, best ridge"
        ),
        description=(
            "to ask whether runs see the end of a power law; without runs near it, M has no upper "
            "limit"
        ),
    )


def gradient_flow() -> Law:
    r"""Random features along gradient flow on endless data: N features at time D.

    Variances of the latent features fall as ``i^-b``. After endless time the loss is
    :math:`E + A N^{-\alpha}` with :math:`\alpha = b\beta`, of an endless model :math:`E + B
    D^{-\beta}`, and in between

    .. math::

        L = E + A N^{-\alpha}\,\Phi(\tau; b, \beta), \qquad
        \frac{\tau^{-\beta}}{\Gamma(1-\beta)} = \frac{B D^{-\beta}}{A N^{-\alpha}},

    with Phi as in `isoloss.laws.flow`. Chinchilla's law has the same limits and adds them. Here
    data count as time, each example seen once, and what is learned is learned from the mean
    over all data: there is no noise of small batches. The model needs b > 1, so that size
    has the steeper power, and beta < 1.

    Examples
    --------
    >>> law = gradient_flow()
    >>> theta = {"E": 0.0, "A": 1.0, "B": 1.0, "b": 1.5, "beta": 0.4}
    >>> law(theta, {"N": [1e3, 1e3, 1e99], "D": [1e4, 1e99, 1e4]}).round(6)
    array([0.029102, 0.015849, 0.025119])
    """
    return _flow(
        "gradient_flow",
        "b*beta",
        description="Chinchilla's limits, with the interaction of a model that is solved",
    )


def gradient_flow_width() -> Law:
    r"""Random features along gradient flow, as many as a network of N parameters is wide.

    `gradient_flow` with as many features as the square root of N: parameters grow as the square of
    the width. The exponent of N is then :math:`\alpha = b\beta/2`, below that of data for b < 2.

    Examples
    --------
    >>> law = gradient_flow_width()
    >>> theta = {"E": 0.0, "A": 1.0, "B": 1.0, "b": 1.5, "beta": 0.4}
    >>> law(theta, {"N": 1e6, "D": 1e4}).round(6)
    array([0.029102])
    """
    return _flow(
        "gradient_flow_width",
        "b*beta/2",
        description="one feature a unit of width; networks of one depth and growing width",
    )


def gradient_flow_any() -> Law:
    r"""Random features along gradient flow, features growing as a free power of N.

    `gradient_flow` with :math:`N^g` features: the exponents of size, :math:`\alpha = g b\beta`,
    and of data are free, and b decides how sharply one limit takes over from the other. A nested
    audit of the laws with g = 1 and g = 1/2.

    Examples
    --------
    >>> law = gradient_flow_any()
    >>> theta = {"E": 0.0, "A": 1.0, "B": 1.0, "b": 1.5, "beta": 0.4, "g": 0.5}
    >>> law(theta, {"N": 1e6, "D": 1e4}).round(6)
    array([0.029102])
    """
    power = Parameter(
        name="g", start=(0.2, 1.2), upper=10.0, meaning="features grow as this power of N"
    )
    return _flow(
        "gradient_flow_any",
        "g*b*beta",
        power,
        special_cases={"gradient_flow": {"g": 1.0}, "gradient_flow_width": {"g": 0.5}},
        description="nested audit of how features are counted",
    )


def gradient_flow_unique() -> Law:
    r"""Random features along gradient flow on U unique examples: `gradient_flow` with repeats.

    D counts examples seen, as time; the gradient is that of the mean over ``T = U/rho`` samples
    from the start. With U endless it is `gradient_flow`. With both D and N endless the loss is
    :math:`E + A (1-\beta) b (\rho/U)^{\alpha}`. Nothing but the time of stopping holds the model
    back: where N and T are of one size, more passes over the same examples first help and then
    hurt, and the loss after many has the peak of double descent at N = T. See
    `isoloss.laws.flow_unique` for the equations, and for where time ends.

    Examples
    --------
    >>> law = gradient_flow_unique()
    >>> theta = {"E": 0.0, "A": 1.0, "B": 1.0, "b": 1.5, "beta": 0.4, "rho": 1.0}
    >>> law(theta, {"N": 5e3, "D": [1e4, 1e5, 1e6, 1e7], "U": 4e3}).round(4)
    array([0.0268, 0.0131, 0.0103, 0.0157])
    """
    return _repeated(gradient_flow(), "b*beta", "N")


def gradient_flow_unique_width() -> Law:
    r"""`gradient_flow_unique` with as many features as the square root of N.

    Examples
    --------
    >>> law = gradient_flow_unique_width()
    >>> theta = {"E": 0.0, "A": 1.0, "B": 1.0, "b": 1.5, "beta": 0.4, "rho": 1.0}
    >>> law(theta, {"N": 25e6, "D": 1e5, "U": 4e3}).round(4)
    array([0.0131])
    """
    return _repeated(gradient_flow_width(), "b*beta/2", "N**(1/2)")


def _repeated(law: Law, alpha: str, features: str) -> Law:
    rho = Parameter(
        name="rho", unit=f"D/{features}", start=(1e-3, 10.0), meaning="unique examples per feature"
    )
    return replace(
        law,
        name=law.name.replace("flow", "flow_unique"),
        formula=f"E + flow_unique(A*N**(-{alpha}), B*D**-beta, A*(rho/U)**(b*beta), b, beta)",
        axes=("N", "D", "U"),
        parameters=(*law.parameters, rho),
        # U carries the unit of D: the two share one scale.
        scaled_axes=("N", "D", "U", "L"),
        source=(
            "gradient flow of random features, Bordelon et al. 2024, arXiv:2402.01092, endless "
            "latent space; two-time solution in closed form for power laws"
        ),
        description="repeated data and overfitting as in a model that is solved; needs the axis U",
    )


def _flow(name: str, alpha: str, *more: Parameter, **about: Any) -> Law:
    return Law(
        name=name,
        formula=f"E + flow(A*N**(-{alpha}), B*D**-beta, b, beta)",
        axes=("N", "D"),
        parameters=(
            Parameter(name="E", start=(0.1, 1.0), unit="L", meaning="irreducible loss"),
            Parameter(name="A", unit=f"L*N**({alpha})", meaning="amplitude of model size"),
            Parameter(name="B", unit="L*D**beta", meaning="amplitude of data"),
            Parameter(
                name="b", lower=1.0, upper=B_MOST, start=(1.05, 4.0), meaning="fall of the spectrum"
            ),
            Parameter(name="beta", upper=BETA_MOST, start=(0.08, 0.8), meaning="exponent of data"),
            *more,
        ),
        scaled_axes=("N", "D", "L"),
        source=(
            "gradient flow of random features, Bordelon et al. 2024, arXiv:2402.01092, endless "
            "data and latent space; single inverse transform derived from the two-time solution"
        ),
        **about,
    )


def scale_time() -> Law:
    r"""Linear regression with noisy labels: size N after time S on D examples.

    .. math:: L = E + S_2\,K(c, \tau) + \sigma^2\,V(c, \tau), \qquad c = M/D, \quad
        \tau = \mathrm{rate}\, N S

    with K the share of the target that is not learned and V the noise that is, as in
    `isoloss.laws.linear`. Size and time count by their product alone. Where D is near M, the number
    of features, the loss first falls and then rises with time, to the peak of double descent. M is
    that of the task, not of the model, and measured in examples. Time is held at `linear.LATEST`,
    which matters within a percent of D = M alone.

    Examples
    --------
    >>> law = scale_time()
    >>> theta = {"E": 0.0, "S2": 1.0, "noise": 0.25, "M": 100.0, "rate": 0.01}
    >>> law(theta, {"N": 10.0, "S": [10.0, 100.0], "D": [200.0, 100.0]}).round(6)
    array([0.307932, 0.530556])
    """
    return Law(
        name="scale_time",
        formula="E + S2*signal_left(M/D, rate*N*S) + noise*noise_learned(M/D, rate*N*S)",
        axes=("N", "S", "D"),
        parameters=(
            Parameter(name="E", start=(0.01, 1.0), unit="L", meaning="irreducible loss"),
            Parameter(name="S2", unit="L", start=(0.2, 5.0), meaning="power of the target"),
            Parameter(name="noise", unit="L", start=(0.05, 5.0), meaning="power of label noise"),
            Parameter(name="M", unit="D", start=(0.05, 20.0), meaning="features, in examples"),
            Parameter(name="rate", unit="1/(N*S)", start=(1e-2, 1e2), meaning="rate of learning"),
        ),
        scaled_axes=("N", "S", "D", "L"),
        source=(
            "scale-time equivalence, arXiv:2409.05782, for linear regression; exact risk from the "
            "law of Marchenko and Pastur"
        ),
        description="size and time as one: double descent in each of them and in data",
    )
