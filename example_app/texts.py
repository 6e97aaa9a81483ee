"""Scope sentences of this app in the languages of the pages (PKCE_TEXTS)."""

from __future__ import annotations

_SENTENCES = (
    "See your name and e-mail address",
    "Read your notes",
    "Write notes for you",
    "See your calendar",
)

SENTENCES = {
    tag: dict(zip(_SENTENCES, texts, strict=True))
    for tag, texts in {
        "ar": (
            "الاطلاع على اسمك وعنوان بريدك الإلكتروني",
            "قراءة ملاحظاتك",
            "كتابة ملاحظات نيابةً عنك",
            "الاطلاع على تقويمك",
        ),
        "de": (
            "Ihren Namen und Ihre E-Mail-Adresse sehen",
            "Ihre Notizen lesen",
            "Notizen für Sie schreiben",
            "Ihren Kalender sehen",
        ),
        "es": (
            "Ver tu nombre y tu correo electrónico",
            "Leer tus notas",
            "Escribir notas por ti",
            "Ver tu calendario",
        ),
        "fr": (
            "Voir votre nom et votre adresse e-mail",
            "Lire vos notes",
            "Écrire des notes pour vous",
            "Voir votre agenda",
        ),
        "ja": (
            "あなたの名前とメールアドレスを見る",
            "あなたのメモを読む",
            "あなたの代わりにメモを書く",
            "あなたのカレンダーを見る",
        ),
    }.items()
}
