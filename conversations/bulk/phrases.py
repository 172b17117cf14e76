"""What made-up visitors ask and agents answer, in five languages; put together they have the shape of real talk."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tongue:
    """The phrases of a language. `{topic}`, `{order}`, `{code}`, `{city}`, `{days}` and `{price}` are filled in."""

    language: str
    weight: float
    greetings: tuple[str, ...]
    topics: tuple[str, ...]
    questions: tuple[str, ...]
    details: tuple[str, ...]
    follow_ups: tuple[str, ...]
    answers: tuple[str, ...]
    steps: tuple[str, ...]
    asking_back: tuple[str, ...]
    unknown: tuple[str, ...]
    handed_over: tuple[str, ...]
    teammate: tuple[str, ...]
    thanks: tuple[str, ...]
    wants_person: tuple[str, ...]


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


ENGLISH = Tongue(
    "en", 0.7,
    greetings=("", "", "", "Hi, ", "Hello, ", "Hey there, ", "Good morning, ", "Sorry to bother you, "),
    topics=_lines("""
        the invoice
        a refund
        my subscription
        the delivery of order {order}
        the desk lamp
        my password
        the API token
        the webhook
        single sign-on
        the export
        a gift card
        the billing address
        the two-factor code
        my trial
        the mobile app
        the exchange rate
        a warranty claim
        the return label
        the team seats
        the integration with Slack
        our data in {city}
        the newsletter
        the discount code {code}
        the dashboard
    """),
    questions=_lines("""
        how do I change {topic}?
        where can I find {topic}?
        I have a problem with {topic}.
        can I cancel {topic} before the month ends?
        why was I charged {price} for {topic}?
        {topic} does not work any more since yesterday
        what happens to {topic} when I upgrade?
        is there a way to get {topic} for a colleague in {city}?
        I get error {code} when I open {topic}. What does it mean?
        do you ship to {city}, and how long does {topic} take?
        who do I talk to about {topic}
        I would like to know whether {topic} can be moved to another account
    """),
    details=_lines("""
        I already tried it in another browser.
        The order number is {order}.
        It worked fine until last week.
        We need this before {days} days are over.
        The page just says {code} and nothing else.
        I am on the Pro plan.
        My colleague sees the same thing.
        I have sent you an e-mail about this as well.
    """),
    follow_ups=_lines("""
        and how long does that take?
        ok, and what does it cost?
        that did not help, I still see {code}
        can you do that for order {order} too?
        does this also work on the phone?
        where exactly is that button?
        what if I am not an administrator?
        is {price} with or without tax?
    """),
    answers=_lines("""
        You can change {topic} under **Settings → Account**. It takes effect at once.
        {topic} is available on every plan. You find it in the menu on the left.
        Refunds reach your account within {days} working days. You will get an e-mail once it has been sent.
        Error {code} means that the link has expired. Ask for a new one on the sign-in page.
        We ship to {city} within {days} working days; shipping costs {price}.
        Yes, that is possible. An administrator can do it for the whole team.
        {topic} stays as it is when you upgrade; only the price changes, to {price} a month.
        Order {order} has left our warehouse and should arrive in {city} within {days} days.
    """),
    steps=_lines("""
        Open **Settings**.
        Choose **Billing** in the menu.
        Press *Edit* next to {topic}.
        Confirm with the code that we send you.
        Reload the page.
        Check the address in `Settings → Profile`.
    """),
    asking_back=(
        "Could you tell me the order number, please?",
        "Which plan are you on?",
        "Do you mean {topic} of your own account, or of your team?",
        "Which browser do you use?",
    ),
    unknown=(
        "I don't have reliable information about that, so I would rather not guess.",
        "I could not find anything about {topic} in our documentation.",
    ),
    handed_over=("I have passed this on to our team. A person will get back to you.",),
    teammate=_lines("""
        Hi, this is our support team. I have looked into it and corrected {topic} for you.
        Sorry for the wait! I have refunded {price} to your card.
        I have reset it on our side, could you try once more?
        Thanks for your patience. Order {order} is on its way again.
    """),
    thanks=("thanks!", "great, thank you", "perfect, that worked", "ok", "thx", "Thank you so much for your help!"),
    wants_person=("can I talk to a person please", "I want to speak to a human", "please connect me to someone"),
)  # fmt: skip

GERMAN = Tongue(
    "de", 0.12,
    greetings=("", "", "Hallo, ", "Guten Tag, ", "Moin, "),
    topics=("die Rechnung", "die Rückerstattung", "mein Abo", "die Bestellung {order}", "das Passwort",
            "der Gutschein {code}", "die Lieferung nach {city}", "die Schreibtischlampe", "das Kundenkonto"),
    questions=_lines("""
        wie ändere ich {topic}?
        wo finde ich {topic}?
        ich habe ein Problem: {topic} funktioniert nicht mehr.
        warum wurden mir {price} für {topic} berechnet?
        ich bekomme den Fehler {code}, was heißt das?
        könnten Sie bitte prüfen, was mit {topic} los ist?
    """),
    details=("Die Bestellnummer ist {order}.", "Im anderen Browser ist es genauso.", "Es eilt leider.",
             "Gestern ging es noch."),
    follow_ups=("und wie lange dauert das?", "geht das auch auf dem Handy?", "das hat leider nicht geholfen",
                "ist das mit oder ohne Mehrwertsteuer?"),
    answers=_lines("""
        Das ändern Sie unter **Einstellungen → Konto**. Es gilt sofort.
        Rückerstattungen sind innerhalb von {days} Werktagen auf Ihrem Konto.
        Wir liefern innerhalb von {days} Werktagen nach {city}; der Versand kostet {price}.
        Der Fehler {code} heißt, dass der Link abgelaufen ist. Fordern Sie einen neuen an.
    """),
    steps=("Öffnen Sie die **Einstellungen**.", "Wählen Sie **Abrechnung**.", "Bestätigen Sie mit dem Code."),
    asking_back=("Wie lautet bitte die Bestellnummer?", "Welchen Tarif haben Sie?"),
    unknown=("Dazu habe ich keine verlässliche Auskunft, deshalb rate ich lieber nicht.",),
    handed_over=("Ich habe das an unser Team weitergegeben. Ein Mensch meldet sich bei Ihnen.",),
    teammate=("Guten Tag, ich habe das für Sie korrigiert.", "Wir haben {price} erstattet, bitte entschuldigen Sie."),
    thanks=("danke!", "super, vielen Dank", "passt, danke schön"),
    wants_person=("kann ich mit einem Menschen sprechen?", "bitte verbinden Sie mich mit einem Mitarbeiter"),
)  # fmt: skip

FRENCH = Tongue(
    "fr", 0.08,
    greetings=("", "Bonjour, ", "Bonsoir, "),
    topics=("la facture", "le remboursement", "mon abonnement", "la commande {order}", "le mot de passe",
            "la livraison à {city}", "le code {code}"),
    questions=_lines("""
        comment modifier {topic} ?
        où se trouve {topic} ?
        j’ai un problème avec {topic}, ça ne marche plus depuis hier
        pourquoi ai-je été débité de {price} pour {topic} ?
        que veut dire l’erreur {code} ?
    """),
    details=("Le numéro de commande est {order}.", "C’est assez urgent.", "J’ai déjà essayé un autre navigateur."),
    follow_ups=("et ça prend combien de temps ?", "ça n’a pas marché, désolé", "c’est toutes taxes comprises ?"),
    answers=_lines("""
        Vous pouvez le modifier sous **Paramètres → Compte**.
        Le remboursement arrive sous {days} jours ouvrés.
        Nous livrons à {city} sous {days} jours, pour {price}.
    """),
    steps=("Ouvrez les **Paramètres**.", "Choisissez **Facturation**.", "Confirmez avec le code reçu."),
    asking_back=("Quel est votre numéro de commande ?", "Quelle formule avez-vous ?"),
    unknown=("Je n’ai pas d’information fiable à ce sujet, je préfère ne pas deviner.",),
    handed_over=("J’ai transmis votre demande à notre équipe, qui va vous répondre.",),
    teammate=("Bonjour, c’est corrigé de notre côté.", "Nous avons remboursé {price}, toutes nos excuses."),
    thanks=("merci !", "parfait, merci beaucoup", "super"),
    wants_person=("je voudrais parler à quelqu’un", "puis-je parler à un conseiller ?"),
)  # fmt: skip

SPANISH = Tongue(
    "es", 0.06,
    greetings=("", "Hola, ", "Buenos días, "),
    topics=("la factura", "el reembolso", "mi suscripción", "el pedido {order}", "la contraseña", "el envío a {city}"),
    questions=_lines("""
        ¿cómo cambio {topic}?
        ¿dónde encuentro {topic}?
        tengo un problema con {topic}
        ¿por qué me han cobrado {price} por {topic}?
        me sale el error {code}, ¿qué significa?
    """),
    details=("El número de pedido es {order}.", "Es bastante urgente.", "Ayer todavía funcionaba."),
    follow_ups=("¿y cuánto tarda?", "no ha funcionado, lo siento", "¿también en el móvil?"),
    answers=_lines("""
        Puede cambiarlo en **Ajustes → Cuenta**.
        El reembolso llega en {days} días laborables.
        Enviamos a {city} en {days} días, por {price}.
    """),
    steps=("Abra **Ajustes**.", "Elija **Facturación**.", "Confirme con el código."),
    asking_back=("¿Cuál es el número de pedido?", "¿Qué plan tiene?"),
    unknown=("No tengo información fiable sobre eso, así que prefiero no adivinar.",),
    handed_over=("He pasado su consulta a nuestro equipo. Una persona le responderá.",),
    teammate=("Hola, ya está corregido por nuestra parte.", "Le hemos devuelto {price}. Disculpe las molestias."),
    thanks=("¡gracias!", "perfecto, muchas gracias", "genial"),
    wants_person=("quiero hablar con una persona", "¿puedo hablar con un agente humano?"),
)  # fmt: skip

DUTCH = Tongue(
    "nl", 0.04,
    greetings=("", "Hallo, ", "Goedemiddag, "),
    topics=("de factuur", "de terugbetaling", "mijn abonnement", "bestelling {order}", "het wachtwoord",
            "de bezorging in {city}"),
    questions=_lines("""
        hoe wijzig ik {topic}?
        waar vind ik {topic}?
        {topic} werkt niet meer sinds gisteren
        ik krijg foutcode {code}, wat betekent dat?
    """),
    details=("Het bestelnummer is {order}.", "Het heeft haast."),
    follow_ups=("en hoe lang duurt dat?", "dat hielp helaas niet", "kan dat ook op mijn telefoon?"),
    answers=_lines("""
        Dat wijzigt u onder **Instellingen → Account**.
        De terugbetaling staat binnen {days} werkdagen op uw rekening.
        Wij bezorgen binnen {days} dagen in {city}, voor {price}.
    """),
    steps=("Open **Instellingen**.", "Kies **Facturen**.", "Bevestig met de code."),
    asking_back=("Wat is uw bestelnummer?", "Welk abonnement heeft u?"),
    unknown=("Daar heb ik geen betrouwbare informatie over, dus ik gok liever niet.",),
    handed_over=("Ik heb dit doorgegeven aan ons team. Iemand neemt contact met u op.",),
    teammate=("Hallo, het is aan onze kant hersteld.", "We hebben {price} terugbetaald, onze excuses."),
    thanks=("bedankt!", "top, dank u wel", "prima"),
    wants_person=("mag ik een medewerker spreken?", "ik wil graag een mens spreken"),
)  # fmt: skip

TONGUES = (ENGLISH, GERMAN, FRENCH, SPANISH, DUTCH)
# Each as often as it is spoken.
SPOKEN = tuple(tongue for tongue in TONGUES for _ in range(round(tongue.weight * 100)))
CITIES = ("Lisbon", "Berlin", "Zürich", "São Paulo", "Toronto", "Oslo", "Kraków", "Nairobi", "Leeds", "Lyon", "Austin",
          "Málaga", "Utrecht", "Osaka", "Bergen", "Ghent")  # fmt: skip
FIRST_NAMES = ("Ada", "Ben", "Chiara", "Deniz", "Elif", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Kofi", "Lena",
               "Mateo", "Noor", "Olga", "Priya", "Quentin", "Rosa", "Sven", "Tomás", "Uma", "Viktor", "Wen", "Yara",
               "Zoë")  # fmt: skip
LAST_NAMES = ("Almeida", "Becker", "Costa", "Dubois", "Eriksen", "Fischer", "García", "Hughes", "Ivanova", "Janssen",
              "Kim", "Laurent", "Müller", "Novak", "Okafor", "Patel", "Quinn", "Rossi", "Schmidt", "Tanaka", "Umar",
              "Visser", "Weber", "Yılmaz", "Zhang")  # fmt: skip
FIRM_NAMES = ("Northwind", "Alpine", "Harbour", "Lumen", "Cedar", "Quartz", "Meridian", "Saffron", "Tidal", "Verdant",
              "Juniper", "Cobalt", "Marble", "Falcon", "Linden", "Orchard")  # fmt: skip
FIRM_KINDS = ("Labs", "Logistics", "Foods", "Studio", "Energy", "Travel", "Health", "Robotics", "Books", "Textiles")
INDUSTRIES = ("Retail", "Software", "Logistics", "Education", "Healthcare", "Travel", "Manufacturing")
PLANS = ("free", "starter", "pro", "enterprise")
PAGES = ("/", "/pricing", "/account", "/account/billing", "/orders", "/help", "/checkout", "/integrations")
GUIDES = ("Billing", "Refunds", "Shipping times", "Passwords and sign-in", "API tokens", "Teams and seats", "Warranty")
